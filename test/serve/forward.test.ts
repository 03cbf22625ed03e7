import {once} from 'node:events';
import {type IncomingMessage, request as requestHttp} from 'node:http';
import {connect, createServer, type Socket} from 'node:net';
import {text} from 'node:stream/consumers';
import {connect as connectTls} from 'node:tls';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {type StartedProxy, type StartedServer, secret, startProxy, startServer} from './start-proxy.ts';

let authority: TestAuthority;
let ruled: StartedServer;
let secure: StartedServer;
let pinned: StartedServer;
let proxy: StartedProxy;

const proxyAuthorization = `Basic ${Buffer.from(`gatepass:${secret}`).toString('base64')}`;

beforeAll(async () => {
	authority = await createTestAuthority();
	const certificate = await authority.issue('server', {
		subject: 'CN=localhost',
		hosts: ['localhost', '127.0.0.1'],
	});
	ruled = await startServer((_request, response) => response.end('plain'));
	secure = await startServer((request, response) => {
		request.resume().once('end', () => response.end('secure'));
	}, certificate);
	pinned = await startServer((_request, response) => response.end('pinned'), certificate);
	proxy = await startProxy({
		trust: [
			{match: 'https://*', ca: authority.ca},
			{match: 'https://localhost:*', ca: authority.ca},
		],
		hostRules: [
			{match: `http://localhost:${ruled.port}`, strategy: 'static-token', options: {token: 'the-token'}},
			{match: `https://localhost:${secure.port}`, strategy: 'static-token', options: {token: 'the-token'}},
			{match: `https://127.0.0.1:${pinned.port}`, strategy: 'static-token', options: {token: 'the-token'}},
		],
		serve: {forward: true, pinned: ['127.0.0.1']},
	});
});

afterAll(async () => {
	await proxy.close();
	await Promise.all([ruled.close(), secure.close(), pinned.close()]);
	await authority.close();
});

async function byWholeUrl(
	url: string,
	headers: Record<string, string> = {'proxy-authorization': proxyAuthorization},
): Promise<IncomingMessage & {content: string}> {
	const {host} = new URL(url);
	const request = requestHttp({host: '127.0.0.1', port: proxy.port, path: url, headers: {host, ...headers}});
	request.end();
	const [response] = (await once(request, 'response')) as [IncomingMessage];
	return Object.assign(response, {content: await text(response)});
}

/** Ask for a tunnel, and give the connection with the head of the answer. */
async function tunnel(
	authorityForm: string,
	headers: Record<string, string> = {'proxy-authorization': proxyAuthorization},
): Promise<{socket: Socket; response: IncomingMessage; head: Buffer}> {
	const request = requestHttp({
		host: '127.0.0.1',
		port: proxy.port,
		method: 'CONNECT',
		path: authorityForm,
		headers: {host: authorityForm, ...headers},
	});
	request.end();
	const [response, socket, head] = (await once(request, 'connect')) as [IncomingMessage, Socket, Buffer];
	return {response, socket, head};
}

async function askInside(
	socket: Socket,
	{
		ca,
		servername = 'localhost',
		host = `localhost:${secure.port}`,
	}: {ca: string; servername?: string; host?: string},
): Promise<string> {
	const inside = connectTls({socket, servername, ca});
	await once(inside, 'secureConnect');
	inside.write(`GET /x?y='1' HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
	return text(inside);
}

describe('by whole URL', () => {
	it('adds the credential of the rule, and shows the server nothing of the proxy', async () => {
		const response = await byWholeUrl(`http://localhost:${ruled.port}/a?b='c'`);
		expect([response.statusCode, response.content]).toEqual([200, 'plain']);
		const seen = ruled.requests.at(-1);
		expect(seen?.url).toBe("/a?b='c'");
		expect(seen?.headers.authorization).toBe('Bearer the-token');
		expect(JSON.stringify(seen?.rawHeaders)).not.toMatch(/proxy/i);
	});

	it('wants the secret', async () => {
		const missing = await byWholeUrl(`http://localhost:${ruled.port}/`, {});
		expect([missing.statusCode, missing.headers['proxy-authenticate']]).toEqual([
			407,
			expect.stringContaining('Basic'),
		]);
		expect(JSON.parse(missing.content)).toMatchObject({code: 'secret-missing'});
		const wrong = await byWholeUrl(`http://localhost:${ruled.port}/`, {'proxy-authorization': 'Basic YTpi'});
		expect([wrong.statusCode, JSON.parse(wrong.content).code]).toEqual([407, 'secret-wrong']);
		// What opens the reverse form is not for a proxy's eyes here.
		const reversed = await byWholeUrl(`http://localhost:${ruled.port}/`, {authorization: `Bearer ${secret}`});
		expect(reversed.statusCode).toBe(407);
	});

	it.each([
		['http://169.254.169.254/latest/meta-data/iam'],
		['http://[fe80::1]/'],
		['http://[fd00:ec2::254]/'],
		['http://[::ffff:169.254.169.254]/'],
		['http://[::ffff:a9fe:a9fe]/'],
		['http://2852039166/'],
		['http://0xa9.0xfe.0xa9.0xfe/'],
		['http://127.0.0.1:1/'],
		['http://127.1:1/'],
		['http://0.0.0.0:1/'],
		['http://[::1]:1/'],
		['http://app.localhost:1/'],
		['http://224.0.0.1/'],
		['http://100.100.100.200/'],
	])('refuses %s', async url => {
		const response = await byWholeUrl(url);
		expect([response.statusCode, JSON.parse(response.content).code]).toEqual([403, 'target-refused']);
	});

	it('refuses what leads back to itself, what has no tunnel, and what is no URL', async () => {
		expect((await byWholeUrl(`http://localhost:${proxy.port}/`)).statusCode).toBe(508);
		expect(JSON.parse((await byWholeUrl('https://localhost/')).content).code).toBe('tunnel-needed');
		for (const url of [
			'http://',
			'http:///x',
			'http://user:word@localhost/',
			'http://a b/',
			'ftp://localhost/x',
			'http://[::1/',
		]) {
			const socket = connect(proxy.port, '127.0.0.1');
			socket.write(
				`GET ${url} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: ${proxyAuthorization}\r\nConnection: close\r\n\r\n`,
			);
			expect(await text(socket)).toMatch(/^HTTP\/1.1 400/);
		}
	});
});

describe('tunnels', () => {
	it('are opened for a host with a rule, with a certificate of that name', async () => {
		const {socket, response} = await tunnel(`localhost:${secure.port}`);
		expect(response.statusCode).toBe(200);
		expect(await askInside(socket, {ca: proxy.root})).toMatch(/^HTTP\/1.1 200 OK[\s\S]*secure/);
		const seen = secure.requests.at(-1);
		expect([seen?.url, seen?.headers.authorization]).toEqual(["/x?y='1'", 'Bearer the-token']);
	});

	it('are left alone where the host is pinned, or none of a rule', async () => {
		const {socket} = await tunnel(`127.0.0.1:${pinned.port}`);
		const {readFileSync} = await import('node:fs');
		const answer = await askInside(socket, {
			ca: readFileSync(authority.ca, 'utf8'),
			host: `127.0.0.1:${pinned.port}`,
		});
		expect(answer).toContain('pinned');
		expect(pinned.requests.at(-1)?.headers).not.toHaveProperty('authorization');
	});

	it('serve plain HTTP for a host with such a rule', async () => {
		const {socket} = await tunnel(`localhost:${ruled.port}`);
		const request = `GET /in HTTP/1.1\r\nHost: localhost:${ruled.port}\r\n`;
		socket.write(`${request}\r\n`);
		await once(socket, 'data');
		socket.write(`${request}Connection: close\r\n\r\n`);
		expect(await text(socket)).toContain('plain');
		expect(ruled.requests.slice(-2).map(({headers}) => headers.authorization)).toEqual([
			'Bearer the-token',
			'Bearer the-token',
		]);
	});

	it('serve plain HTTP that comes along with the request for the tunnel', async () => {
		const socket = connect(proxy.port, '127.0.0.1');
		const host = `localhost:${ruled.port}`;
		socket.write(
			`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\nProxy-Authorization: ${proxyAuthorization}\r\n\r\nGET /early HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
		);
		expect(await text(socket)).toMatch(/200 Connection Established[\s\S]*plain/);
		expect(ruled.requests.at(-1)?.headers.authorization).toBe('Bearer the-token');
	});

	it('pass what is neither TLS nor HTTP, whoever speaks first', async () => {
		const speaking = createServer(socket => {
			socket.write('220 hello\r\n');
			socket.once('data', data => socket.end(`echo ${data}`));
		});
		await new Promise<void>(resolve => speaking.listen(0, '127.0.0.1', resolve));
		const {port} = speaking.address() as {port: number};
		const own = await startProxy({
			hostRules: [
				{match: `https://localhost:${port}`, strategy: 'static-token', options: {token: 'the-token'}},
			],
			serve: {forward: true},
		});
		const request = requestHttp({
			host: '127.0.0.1',
			port: own.port,
			method: 'CONNECT',
			path: `localhost:${port}`,
			headers: {'proxy-authorization': proxyAuthorization},
		});
		request.end();
		const [, socket] = (await once(request, 'connect')) as [IncomingMessage, Socket];
		const [hello] = await once(socket, 'data');
		expect(String(hello)).toBe('220 hello\r\n');
		socket.write(Buffer.from([0x00, 0xff, 0x80]));
		expect((await text(socket)).length).toBeGreaterThan(5);
		await own.close();
		await new Promise(resolve => speaking.close(resolve));
	});

	it('take no other host inside', async () => {
		const {socket} = await tunnel(`localhost:${secure.port}`);
		expect(await askInside(socket, {ca: proxy.root, host: 'other.test'})).toMatch(/^HTTP\/1.1 421/);
	});

	it('say what to do where a client does not trust the CA', async () => {
		const {spawn} = await import('node:child_process');
		const through = `http://gatepass:${secret}@127.0.0.1:${proxy.port}`;
		const curl = spawn('curl', ['-sS', '--noproxy', '', '-x', through, `https://localhost:${secure.port}/`]);
		const [code] = await once(curl, 'close');
		expect(code).toBe(60);
		await expect.poll(() => proxy.told.join()).toMatch(/does not trust the CA.*SSL_CERT_FILE/);
	});

	it('tell of no distrust where a client waits for 100 Continue before it sends the body', async () => {
		const {connections} = proxy.proxy.activity;
		const {socket} = await tunnel(`localhost:${secure.port}`);
		const inside = connectTls({socket, servername: 'localhost', ca: proxy.root});
		const before = proxy.told.length;
		inside.write(
			`POST /x HTTP/1.1\r\nHost: localhost:${secure.port}\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`,
		);
		const [interim] = await once(inside, 'data');
		expect(String(interim)).toMatch(/^HTTP\/1.1 100/);
		inside.write('body');
		expect(await text(inside)).toMatch(/200 OK[\s\S]*secure/);
		socket.destroy();
		await expect.poll(() => proxy.proxy.activity.connections).toBeLessThanOrEqual(connections);
		await new Promise(resolve => setImmediate(resolve));
		expect(proxy.told.slice(before)).toEqual([]);
	});

	it.each([
		['localhost', 400],
		['localhost:0', 400],
		['localhost:99999', 400],
		['user@localhost:1', 400],
		['local%68ost:1', 400],
		[':443', 400],
		['169.254.169.254:80', 403],
		['[::ffff:169.254.169.254]:80', 403],
		['2852039166:80', 403],
		['127.0.0.1:22', 403],
		['localhost:1', 403],
		['gatepass.invalid:443', 502],
	])('CONNECT %s: %s', async (place, status) => {
		expect((await tunnel(place)).response.statusCode).toBe(status);
		expect((await byWholeUrl(`http://localhost:${ruled.port}/`)).statusCode).toBe(200);
	});

	it('want the secret', async () => {
		const {response} = await tunnel(`localhost:${secure.port}`, {});
		expect([response.statusCode, response.headers['proxy-authenticate']]).toEqual([
			407,
			expect.stringContaining('Basic'),
		]);
	});
});

describe('the CA', () => {
	it('is for the hosts of the rules and no others, also for OpenSSL', async () => {
		const {execFileSync} = await import('node:child_process');
		const {mkdtempSync, rmSync, writeFileSync} = await import('node:fs');
		const {join} = await import('node:path');
		const {tmpdir} = await import('node:os');
		const {Authority, makeAuthority} = await import('../../src/serve/authority.ts');
		const material = makeAuthority({names: ['example.org'], addresses: ['192.0.2.7']});
		const issuing = new Authority(material);
		const folder = mkdtempSync(join(tmpdir(), 'gatepass-constraints-'));
		const verify = (host: string): string => {
			const [leaf = '', ...chain] = issuing.optionsFor(host).cert.split(/(?<=-----END CERTIFICATE-----\n)/);
			writeFileSync(join(folder, 'leaf.pem'), leaf);
			writeFileSync(join(folder, 'chain.pem'), chain.join(''));
			writeFileSync(join(folder, 'root.pem'), material.root);
			try {
				const args = ['verify', '-x509_strict', '-CAfile', 'root.pem', '-untrusted', 'chain.pem', 'leaf.pem'];
				return execFileSync('openssl', args, {cwd: folder, stdio: 'pipe'}).toString();
			} catch (error) {
				return String((error as {stderr: Buffer}).stderr);
			}
		};
		expect(verify('example.org')).toContain('OK');
		expect(verify('sub.example.org')).toContain('OK');
		expect(verify('192.0.2.7')).toContain('OK');
		for (const host of ['evil.test', 'notexample.org', '192.0.2.8', '2001:db8::1']) {
			expect(verify(host)).toContain('permitted subtree violation');
		}
		rmSync(folder, {recursive: true});
	});
});
