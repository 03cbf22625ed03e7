/** Where nobody is led: to the metadata of clouds, and to this machine, whatever the address is called. */
import type {ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {type IncomingMessage, request as requestHttp} from 'node:http';
import type {Socket} from 'node:net';
import {text} from 'node:stream/consumers';
import {connect as connectTls} from 'node:tls';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {refusalOf} from '../../src/serve/targets.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {createWorkspace, type Workspace} from '../cli/command-line.ts';
import {describeWith} from '../servers/availability.ts';
import {environmentWithHosts, nssWrapper} from '../servers/nss-wrapper.ts';
import {stopProcess, untilServing} from '../servers/process.ts';
import {type StartedProxy, type StartedServer, secret, startProxy, startServer} from './start-proxy.ts';

const basic = `Basic ${Buffer.from(`gatepass:${secret}`).toString('base64')}`;

interface Answer {
	readonly status: number | undefined;
	readonly code: string | undefined;
}

async function ask(port: number, url: string): Promise<Answer> {
	const {host} = URL.parse(url) ?? {host: 'x'};
	const request = requestHttp({
		host: '127.0.0.1',
		port,
		path: url,
		headers: {host, 'proxy-authorization': basic},
	});
	request.end();
	const [response] = (await once(request, 'response')) as [IncomingMessage];
	return {status: response.statusCode, code: codeOf(await text(response))};
}

async function openTunnel(port: number, place: string) {
	const request = requestHttp({
		host: '127.0.0.1',
		port,
		method: 'CONNECT',
		path: place,
		headers: {host: place, 'proxy-authorization': basic},
	});
	request.end();
	const [response, socket, head] = (await once(request, 'connect')) as [IncomingMessage, Socket, Buffer];
	socket.on('error', () => {}).unshift(head);
	return {response, socket};
}

async function askTunnel(port: number, place: string): Promise<Answer> {
	const {response, socket} = await openTunnel(port, place);
	if (response.statusCode === 200) {
		socket.destroy();
		return {status: 200, code: undefined};
	}
	return {status: response.statusCode, code: codeOf(await text(socket))};
}

function codeOf(body: string): string | undefined {
	return /"code": "([^"]+)"/.exec(body)?.[1];
}

const refused = {status: 403, code: 'target-refused'};

/** Ways to write an address, each of which some parser takes. */
const metadata = [
	'169.254.169.254',
	'169.254.169.254.',
	'2852039166',
	'0xa9fea9fe',
	'0xA9FEA9FE',
	'025177524776',
	'0251.0376.0251.0376',
	'0xa9.0xfe.0xa9.0xfe',
	'0xa9.254.0251.254',
	'169.254.43518',
	'169.16689662',
	'%31%36%39.254.169.254',
	'①⑥⑨.②⑤④.①⑥⑨.②⑤④',
	'169。254。169。254',
	'[::ffff:169.254.169.254]',
	'[::ffff:a9fe:a9fe]',
	'[0:0:0:0:0:ffff:a9fe:a9fe]',
	'[::169.254.169.254]',
	'[::ffff:0:169.254.169.254]',
	'[64:ff9b::169.254.169.254]',
	'[64:ff9b:1::169.254.169.254]',
	'[2002:a9fe:a9fe::]',
	'[2002:a9fe:a9fe::1]',
	'[2001:db8::5efe:169.254.169.254]',
	'[2001:0:a9fe:a9fe::1]',
	'[2001:0:5db8:d822::5601:5601]',
	'169.254.170.2',
	'100.100.100.200',
	'[64:ff9b::100.100.100.200]',
	'192.0.0.192',
	'168.63.129.16',
	'[fe80::1]',
	'[febf::1]',
	'[fd00:ec2::254]',
	'[fd00:ec2::23]',
	'[fd20:ce::254]',
	'224.0.0.1',
	'255.255.255.255',
	'[ff02::1]',
];
const thisMachine = [
	'127.0.0.1',
	'127.1',
	'2130706433',
	'0x7f.1',
	'0177.0.0.1',
	'127.255.255.254',
	'0',
	'0.0.0.0',
	'localhost',
	'LOCALHOST',
	'localhost.',
	'app.localhost',
	'[::1]',
	'[0:0:0:0:0:0:0:1]',
	'[::]',
	'[::ffff:127.0.0.1]',
	'[::ffff:0:127.0.0.1]',
	'[::127.0.0.1]',
	'[64:ff9b::127.0.0.1]',
	'[2002:7f00:1::]',
	'[2001:db8::200:5efe:127.0.0.1]',
];

describe('an address', () => {
	let server: StartedServer;
	let proxy: StartedProxy;

	beforeAll(async () => {
		server = await startServer((_request, response) => response.end('here'));
		// Rules for everything, which name nothing.
		proxy = await startProxy({
			hostRules: [{match: 'https://*', strategy: 'static-token', options: {token: 'the-token'}}],
			serve: {forward: true},
		});
	});
	afterAll(async () => {
		await proxy?.close();
		await server?.close();
	});

	it.each([...metadata, ...thisMachine])('%s is not gone to', async host => {
		const sent = /^[!-~]+$/.test(host) ? host : encodeURIComponent(host);
		expect(await ask(proxy.port, `http://${sent}:${server.port}/`)).toEqual(refused);
		const written = URL.parse(`http://${host}/`)?.hostname ?? host;
		for (const port of [server.port, 443]) {
			expect(await askTunnel(proxy.port, `${written}:${port}`)).toEqual(refused);
		}
		// As it is written: what no name looks like is refused for that.
		if (/^[!-~]+$/.test(host)) {
			expect([400, 403]).toContain((await askTunnel(proxy.port, `${host}:443`)).status);
		}
		expect(server.requests.length).toBe(0);
	});

	it('with an interface is what it is without', () => {
		expect(refusalOf('fe80::1%eth0', true)).toContain('link-local');
		expect(refusalOf('::1%lo', false)).toContain('this machine');
	});

	it.each([
		'192.0.2.1',
		'8.8.8.8',
		'10.0.0.1',
		'2001:db8::1',
		'64:ff9b::808:808',
		'2002:808:808::1',
		'::ffff:8.8.8.8',
	])('%s is none of these', address => expect(refusalOf(address, false)).toBeUndefined());
});

describeWith(nssWrapper, 'a name', () => {
	let authority: TestAuthority;
	let server: StartedServer;
	let workspace: Workspace;
	let service: ChildProcess;
	let proxy: number;
	let location: string;
	let connections = 0;

	beforeAll(async () => {
		authority = await createTestAuthority();
		const certificate = await authority.issue('server', {subject: 'CN=x', hosts: ['*.attack.test']});
		server = await startServer((request, response) => {
			if (request.url === '/redirect') response.writeHead(302, {location}).end();
			else response.end(`here ${request.headers.authorization}`);
		}, certificate);
		server.server.on('connection', () => {
			connections += 1;
		});
		workspace = await createWorkspace();
		const hosts = await workspace.write(
			'hosts',
			`127.0.0.1 localhost named.attack.test loopback.attack.test
::1 loopback6.attack.test
169.254.169.254 metadata.attack.test
192.0.2.1 mixed.attack.test
169.254.169.254 mixed.attack.test
fe80::1 link.attack.test
::ffff:169.254.169.254 mapped.attack.test
fd00:ec2::254 cloud.attack.test
0.0.0.0 zero.attack.test
`,
		);
		const named = `https://named.attack.test:${server.port}`;
		await workspace.configure({
			cache: {url: 'memory:'},
			trust: [{match: 'https://*.attack.test:*', ca: authority.ca, only: true}],
			hostRules: [
				{match: named, strategy: 'static-token', options: {token: 'the-token'}},
				{match: 'https://*.attack.test:*', strategy: 'static-token', options: {token: 'the-token'}},
			],
			serve: {listen: '127.0.0.1:0', forward: true, redirects: 'follow', routes: {'/named': named}},
		});
		service = workspace.start(['serve', '--access-log', 'off'], {
			env: {...environmentWithHosts(hosts), GATEPASS_SECRET: secret},
		});
		proxy = Number(new URL(await untilServing(service)).port);
	});
	afterAll(async () => {
		if (service !== undefined) await stopProcess(service, 'SIGTERM');
		await workspace?.close();
		await server?.close();
		await authority?.close();
	});

	it('that a rule names may be this machine', async () => {
		const {socket} = await openTunnel(proxy, `named.attack.test:${server.port}`);
		// This test trusts the CA of the service by its name alone.
		const inside = connectTls({socket, servername: 'named.attack.test', rejectUnauthorized: false});
		inside.write(`GET / HTTP/1.1\r\nHost: named.attack.test:${server.port}\r\nConnection: close\r\n\r\n`);
		expect(await text(inside)).toContain('here Bearer the-token');
	});

	it.each([
		'metadata.attack.test',
		'mixed.attack.test',
		'link.attack.test',
		'mapped.attack.test',
		'cloud.attack.test',
		'zero.attack.test',
		'loopback.attack.test',
		'loopback6.attack.test',
	])('%s is looked at when it is connected to, in each form', async name => {
		const before = connections;
		const {port} = server;
		expect(await ask(proxy, `http://${name}:${port}/`)).toEqual(refused);
		// Opened, since a rule is for it; and left alone, since none is for another domain's port.
		expect(await askTunnel(proxy, `${name}:${port}`)).toEqual(refused);
		expect(await askTunnel(proxy, `${name}.:${port}`)).toEqual(refused);
		for (const scheme of ['http', 'https']) {
			location = `${scheme}://${name}:${port}/there`;
			const response = await fetch(`http://127.0.0.1:${proxy}/named/redirect`, {
				headers: {'x-gatepass-secret': secret},
				redirect: 'manual',
			});
			// From TLS to plain http no redirect is followed; it is handed back.
			expect([response.status, codeOf(await response.text())]).toEqual(
				scheme === 'http' ? [302, undefined] : [403, 'target-refused'],
			);
		}
		// The two that ask for the redirect go over connections that are kept, or new ones.
		expect(connections - before).toBeLessThanOrEqual(2);
		expect(server.requests.filter(({url}) => url === '/there')).toEqual([]);
	});
});
