/** What is spoken on either side: TLS towards clients, HTTP/1.1 and 2 towards servers, sockets through both. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import type {IncomingMessage} from 'node:http';
import {createSecureServer, type Http2SecureServer} from 'node:http2';
import {request as requestHttps} from 'node:https';
import {type AddressInfo, createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {afterAll, beforeAll, describe, expect, it, onTestFinished} from 'vitest';
import {WebSocket, WebSocketServer} from 'ws';
import {type CertificateFiles, createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {describeWith} from '../servers/availability.ts';
import {freePorts} from '../servers/free-port.ts';
import {nginx} from '../servers/nginx.ts';
import {type StartedProxy, type StartedServer, secret, startProxy, startServer} from './start-proxy.ts';

let authority: TestAuthority;
let certificate: CertificateFiles;
let ca: string;
const bearer = {authorization: `Bearer ${secret}`};

beforeAll(async () => {
	authority = await createTestAuthority();
	certificate = await authority.issue('server', {
		subject: 'CN=localhost',
		hosts: ['localhost', 'proxy.test'],
	});
	ca = readFileSync(authority.ca, 'utf8');
});
afterAll(() => authority.close());

function ruleFor(origin: string) {
	return {
		trust: [{match: 'https://localhost:*', ca: authority.ca, only: true}],
		hostRules: [{match: origin, strategy: 'static-token' as const, options: {token: 'the-token'}}],
	};
}

async function ask(
	proxy: StartedProxy,
	path: string,
	{method = 'GET', headers = {} as Record<string, string>, send = (_to: NodeJS.WritableStream) => {}} = {},
): Promise<IncomingMessage & {content: string}> {
	const {request: requestHttp} = await import('node:http');
	const isSecure = proxy.url.startsWith('https:');
	const settings = {host: 'localhost', port: proxy.port, path, method, headers: {...bearer, ...headers}};
	const request = isSecure ? requestHttps({...settings, ca, agent: false}) : requestHttp(settings);
	send(request);
	request.end();
	const [response] = (await once(request, 'response')) as [IncomingMessage];
	return Object.assign(response, {content: await text(response)});
}

describe('TLS towards the client', () => {
	let server: StartedServer;
	let proxy: StartedProxy;

	beforeAll(async () => {
		server = await startServer((request, response) => {
			const link = `<${server.origin}/next>; rel=next`;
			const cookie = 'a=1; Secure; Path=/';
			response.writeHead(200, {link, 'set-cookie': cookie});
			response.end(request.headers.authorization);
		}, certificate);
		const origin = `https://localhost:${server.port}`;
		proxy = await startProxy({
			...ruleFor(origin),
			serve: {
				listen: '0.0.0.0:0',
				tls: {certificate: certificate.certificate, key: certificate.key},
				routes: {'/api': origin},
				forward: true,
			},
		} as never);
	});
	afterAll(async () => {
		await proxy?.close();
		await server?.close();
	});

	it('serves beyond this machine, and writes its own URLs with https', async () => {
		expect(proxy.url).toMatch(/^https:/);
		const response = await ask(proxy, '/api/x');
		expect([response.statusCode, response.content]).toEqual([200, 'Bearer the-token']);
		expect(response.headers['set-cookie']).toEqual(['a=1; Secure; Path=/api']);
		const named = await ask(proxy, '/api/x', {headers: {host: `proxy.test:${proxy.port}`}});
		expect(named.statusCode).toBe(200);
		expect((await ask(proxy, '/api/x', {headers: {host: `localhost:1`}})).statusCode).toBe(421);
		expect((await ask(proxy, '/api/x', {headers: {authorization: 'Bearer wrong'}})).statusCode).toBe(401);
	});

	it('speaks TLS 1.2 and 1.3 and nothing older, and no plain HTTP', async () => {
		const {connect} = await import('node:tls');
		const speak = async (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'): Promise<string | null> => {
			const options = {ca, minVersion: version, maxVersion: version, ciphers: 'DEFAULT@SECLEVEL=0'} as const;
			const socket = connect({host: 'localhost', port: proxy.port, ...options});
			try {
				await once(socket, 'secureConnect');
				return socket.getProtocol();
			} catch {
				return 'refused';
			} finally {
				socket.destroy();
			}
		};
		expect(await speak('TLSv1.3')).toBe('TLSv1.3');
		expect(await speak('TLSv1.2')).toBe('TLSv1.2');
		expect(await speak('TLSv1.1')).toBe('refused');
		await expect(fetch(`http://localhost:${proxy.port}/api/x`)).rejects.toThrow();
		expect((await ask(proxy, '/api/x')).statusCode).toBe(200);
	});

	it('is a forward proxy over TLS too (curl)', async () => {
		const through = `https://gatepass:${secret}@localhost:${proxy.port}`;
		const args = ['-sS', '--noproxy', '', '-x', through, '--proxy-cacert', authority.ca];
		writeFileSync(join(authority.ca, '..', 'proxy-root.pem'), proxy.root);
		const trusted = ['--cacert', join(authority.ca, '..', 'proxy-root.pem')];
		const curl = spawn('curl', [...args, ...trusted, `https://localhost:${server.port}/y`]);
		expect(await text(curl.stdout)).toBe('Bearer the-token');
	});
});

describe('HTTP/2 towards the server', () => {
	let server: Http2SecureServer;
	let origin: string;
	let proxy: StartedProxy;
	const seen: {version: string; path: string; authorization: string | undefined; names: string[]}[] = [];

	beforeAll(async () => {
		const {certificate: cert, key} = certificate;
		// Nothing older is answered.
		server = createSecureServer({cert: readFileSync(cert), key: readFileSync(key), allowHTTP1: false});
		server.on('stream', (stream, headers) => {
			const {':path': path = '', authorization} = headers;
			const names = Object.keys(headers).filter(name => name[0] !== ':');
			seen.push({version: '2', path: String(path), authorization, names});
			stream.on('error', () => {});
			if (String(path).startsWith('/redirect')) {
				stream.respond({':status': 302, location: `${origin}/there`}, {endStream: true});
				return;
			}
			if (String(path).startsWith('/broken')) {
				stream.respond({':status': 200});
				stream.write('half', () => stream.destroy(new Error('It broke')));
				return;
			}
			stream.respond({':status': 200, 'x-version': '2'}, {waitForTrailers: true});
			stream.on('wantTrailers', () => stream.sendTrailers({'x-sum': 'done'}));
			stream.pipe(stream);
		});
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
		origin = `https://localhost:${(server.address() as AddressInfo).port}`;
		proxy = await startProxy({...ruleFor(origin), serve: {routes: {'/h2': origin}}});
	});
	afterAll(async () => {
		await proxy?.close();
		server.close();
	});

	it('method, path, query to the byte, body and trailers of the answer go through', async () => {
		const body = 'x'.repeat(300_000);
		const response = await ask(proxy, "/h2/a%2Fb?x='1'|&&y=%27", {
			method: 'PUT',
			headers: {'transfer-encoding': 'chunked'},
			send: to => void to.write(body),
		});
		expect([response.statusCode, response.headers['x-version']]).toEqual([200, '2']);
		expect(response.content).toBe(body);
		expect(response.trailers).toEqual({'x-sum': 'done'});
		expect(seen.at(-1)).toMatchObject({path: "/a%2Fb?x='1'|&&y=%27", authorization: 'Bearer the-token'});
		expect(seen.at(-1)?.names).not.toContain('transfer-encoding');
	});

	it('many at once go over few connections, and each gets its own answer', async () => {
		let sessions = 0;
		server.on('session', () => {
			sessions += 1;
		});
		const bodies = Array.from({length: 40}, (_, index) => `body ${index}`);
		const answers = await Promise.all(
			bodies.map(body =>
				ask(proxy, '/h2/', {
					method: 'POST',
					headers: {'content-length': String(body.length)},
					send: to => void to.write(body),
				}),
			),
		);
		expect(answers.map(({content}) => content)).toEqual(bodies);
		expect(sessions).toBeLessThan(40);
	});

	it('Location leads back to the proxy, and an answer that breaks off is no whole one', async () => {
		expect((await ask(proxy, '/h2/redirect')).headers.location).toBe(
			`http://localhost:${proxy.port}/h2/there`,
		);
		await expect(ask(proxy, '/h2/broken')).rejects.toThrow(/aborted/);
		expect((await ask(proxy, '/h2/')).statusCode).toBe(200);
	});
});

it('a WebSocket goes to a server that also speaks HTTP/2 by HTTP/1.1', async () => {
	const {certificate: cert, key} = certificate;
	const server = createSecureServer({cert: readFileSync(cert), key: readFileSync(key), allowHTTP1: true});
	const sockets = new WebSocketServer({noServer: true});
	server.on('upgrade', (request, socket, head) => {
		sockets.handleUpgrade(request, socket, head, connected =>
			connected.send(request.headers.authorization ?? ''),
		);
	});
	server.on('request', (_request, response) => response.end('whole'));
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	const origin = `https://localhost:${(server.address() as AddressInfo).port}`;
	const proxy = await startProxy({...ruleFor(origin), serve: {routes: {'/both': origin}}});
	onTestFinished(async () => {
		await proxy.close();
		sockets.close();
		server.close();
	});
	expect((await ask(proxy, '/both/')).content).toBe('whole');
	const client = new WebSocket(`ws://localhost:${proxy.port}/both/`, {headers: bearer});
	const [message] = await once(client, 'message');
	expect(String(message)).toBe('Bearer the-token');
	client.close();
	await once(client, 'close');
});

describeWith(nginx, 'nginx with HTTP/2', () => {
	it('is spoken to by HTTP/2', async () => {
		const [port] = await freePorts(1);
		const folder = mkdtempSync(join(tmpdir(), 'gatepass-nginx-h2-'));
		writeFileSync(
			join(folder, 'nginx.conf'),
			`daemon off; master_process off; error_log ${folder}/error.log; pid ${folder}/nginx.pid;
events {}
http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
server { listen 127.0.0.1:${port} ssl http2; ssl_certificate ${certificate.certificate}; ssl_certificate_key ${certificate.key};
location / { return 200 "$server_protocol $http_authorization $request_uri"; } } }`,
		);
		const child = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], {stdio: 'ignore'});
		const origin = `https://localhost:${port}`;
		const proxy = await startProxy({...ruleFor(origin), serve: {routes: {'/n': origin}}});
		onTestFinished(async () => {
			await proxy.close();
			const ended = once(child, 'exit');
			child.kill('SIGKILL');
			await ended;
			rmSync(folder, {recursive: true, force: true});
		});
		await expect.poll(() => existsSync(join(folder, 'nginx.pid'))).toBe(true);
		expect((await ask(proxy, '/n/a?b=%27')).content).toBe('HTTP/2.0 Bearer the-token /a?b=%27');
	});
});

it('trailers of a request are sent over TLS as well, to a server that the trust store verifies', async () => {
	const server = await startServer(async (request, response) => {
		const body = await text(request);
		response.end(`${request.headers.authorization} ${body} ${request.trailers['x-sum']}`);
	}, certificate);
	const origin = `https://localhost:${server.port}`;
	const routes = {'/t': origin, '/untrusted': `https://127.0.0.1:${server.port}`};
	const proxy = await startProxy({...ruleFor(origin), serve: {routes}});
	onTestFinished(async () => {
		await proxy.close();
		await server.close();
	});
	const trailed = {
		method: 'POST',
		headers: {trailer: 'x-sum', 'transfer-encoding': 'chunked'},
		send(to: NodeJS.WritableStream) {
			to.write('body');
			(to as unknown as {addTrailers(trailers: object): void}).addTrailers({'x-sum': '4'});
		},
	};
	expect((await ask(proxy, '/t/', trailed)).content).toBe('Bearer the-token body 4');
	const refused = await ask(proxy, '/untrusted/', trailed);
	expect(refused.statusCode).toBe(502);
	expect(server.requests.length).toBe(1);
});

it('what a client sends in trailers is no chance to reach a server that is refused', async () => {
	const open = createServer(socket => socket.destroy());
	await new Promise<void>(resolve => open.listen(0, '127.0.0.1', resolve));
	const {port} = open.address() as AddressInfo;
	const proxy = await startProxy({serve: {forward: true}});
	onTestFinished(async () => {
		await proxy.close();
		open.close();
	});
	let connections = 0;
	open.on('connection', () => {
		connections += 1;
	});
	const basic = `Basic ${Buffer.from(`x:${secret}`).toString('base64')}`;
	// A name of this machine that is looked up.
	const {hostname} = await import('node:os');
	const headers = {'proxy-authorization': basic, trailer: 'x-sum', 'transfer-encoding': 'chunked'};
	for (const name of ['localhost', hostname()]) {
		const response = await ask(proxy, `http://${name}:${port}/`, {
			method: 'PUT',
			headers: {...headers, host: `${name}:${port}`},
		});
		expect([403, 502]).toContain(response.statusCode);
	}
	expect(connections).toBe(0);
});
