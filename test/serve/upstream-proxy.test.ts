/** A proxy on the way out: for forwarded, reverse, intercepted and merely tunnelled traffic. */
import {once} from 'node:events';
import {createServer, type IncomingMessage, request as requestHttp, type Server} from 'node:http';
import {type AddressInfo, connect, type Socket} from 'node:net';
import type {Duplex} from 'node:stream';
import {text} from 'node:stream/consumers';
import {connect as connectTls} from 'node:tls';
import {afterAll, beforeAll, beforeEach, describe, expect, it} from 'vitest';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {type ApacheProxy, apacheProxy, startApacheProxy} from '../servers/apache-proxy.ts';
import {describeWith} from '../servers/availability.ts';
import {type Kdc, mitKdc, startKdc} from '../servers/kdc.ts';
import {type StartedProxy, type StartedServer, secret, startProxy, startServer} from './start-proxy.ts';

let authority: TestAuthority;
let plain: StartedServer;
let secure: StartedServer;
/** Without a rule. */
let other: StartedServer;
let upstream: {server: Server; url: string; port: number};
let asked: string[];
let credentials: (string | undefined)[];
let demanded: string | undefined;
const sockets = new Set<Duplex>();

const viaProxy = {'proxy-authorization': `Basic ${Buffer.from(`gatepass:${secret}`).toString('base64')}`};

beforeAll(async () => {
	authority = await createTestAuthority();
	const certificate = await authority.issue('server', {
		subject: 'CN=localhost',
		hosts: ['localhost', 'elsewhere.test'],
	});
	plain = await startServer(async (request, response) => response.end(`plain ${await text(request)}`));
	secure = await startServer((_request, response) => response.end('secure'), certificate);
	other = await startServer((_request, response) => response.end('other'), certificate);
	upstream = await startUpstream();
});
beforeEach(() => {
	asked = [];
	credentials = [];
	demanded = undefined;
});
afterAll(async () => {
	for (const socket of sockets) socket.destroy();
	upstream.server.closeAllConnections();
	await Promise.all([plain, secure, other].map(server => server.close()));
	await new Promise(resolve => upstream.server.close(resolve));
	await authority.close();
});

/** Passes on what it is asked for, once it is shown what it demands. It alone knows where `elsewhere.test` is. */
async function startUpstream() {
	const isRefused = ({method, url, headers}: IncomingMessage): boolean => {
		asked.push(`${method} ${url}`);
		credentials.push(headers['proxy-authorization']);
		return demanded !== undefined && headers['proxy-authorization'] !== demanded;
	};
	const here = (place: string): string => place.replace('elsewhere.test', 'localhost');
	const server = createServer((incoming, response) => {
		if (isRefused(incoming)) {
			response.writeHead(407, {'proxy-authenticate': 'Basic realm="upstream"'}).end();
			return;
		}
		const {'proxy-authorization': _, ...headers} = incoming.headers;
		const passed = requestHttp(here(incoming.url ?? ''), {method: incoming.method, headers}, answer => {
			response.writeHead(answer.statusCode ?? 0, answer.headers);
			answer.pipe(response);
		});
		incoming.pipe(passed);
	});
	server.on('connect', (incoming: IncomingMessage, socket: Socket) => {
		sockets.add(socket.on('error', () => {}));
		if (isRefused(incoming)) {
			socket.end('HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="upstream"\r\n\r\n');
			return;
		}
		const [host = '', port] = here(incoming.url ?? '').split(':');
		const there = connect(Number(port), host, () => {
			socket.write('HTTP/1.1 200 OK\r\n\r\n');
			socket.pipe(there).pipe(socket);
		});
		sockets.add(there.on('error', () => socket.destroy()));
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	const {port} = server.address() as AddressInfo;
	return {server, port, url: `http://localhost:${port}`};
}

function configuration(rules: readonly object[] = [], more: object = {}) {
	return {
		trust: [{match: ['https://localhost:*', 'https://elsewhere.test:*'], ca: authority.ca}],
		hostRules: [
			{match: plain.origin, strategy: 'static-token', options: {token: 'the-token'}, allowInsecure: true},
			{match: `https://localhost:${secure.port}`, strategy: 'static-token', options: {token: 'the-token'}},
			...rules,
		],
		serve: {forward: true, routes: {'/plain': plain.origin, '/secure': `https://localhost:${secure.port}`}},
		...more,
	} as never;
}

async function ask(proxy: StartedProxy, path: string, {headers = {}, method = 'GET', body = ''} = {}) {
	const request = requestHttp({host: '127.0.0.1', port: proxy.port, path, method, headers});
	request.end(body);
	const [response] = (await once(request, 'response')) as [IncomingMessage];
	return Object.assign(response, {content: await text(response)});
}

async function throughTunnel(proxy: StartedProxy, place: string, ca: string): Promise<string> {
	const request = requestHttp({
		...{host: '127.0.0.1', port: proxy.port, method: 'CONNECT', path: place},
		headers: {host: place, ...viaProxy},
	});
	request.end();
	const [response, socket, head] = (await once(request, 'connect')) as [IncomingMessage, Socket, Buffer];
	if (response.statusCode !== 200) return head + (await text(socket));
	const [servername = ''] = place.split(':');
	const inside = connectTls({socket, servername, ca});
	await once(inside, 'secureConnect');
	inside.write(`GET /x HTTP/1.1\r\nHost: ${place}\r\nConnection: close\r\n\r\n`);
	return text(inside);
}

/** By all forms. Gives what the proxy on the way out was asked. */
async function byAllForms(proxy: StartedProxy): Promise<string[]> {
	const {readFileSync} = await import('node:fs');
	const own = {'x-gatepass-secret': secret};
	expect((await ask(proxy, '/plain/a', {headers: own, method: 'POST', body: 'body'})).content).toBe(
		'plain body',
	);
	expect(plain.requests.at(-1)?.headers.authorization).toBe('Bearer the-token');
	expect((await ask(proxy, '/secure/a', {headers: own})).content).toBe('secure');
	expect((await ask(proxy, `${plain.origin}/b`, {headers: viaProxy})).content).toBe('plain ');
	expect((await ask(proxy, `http://elsewhere.test:${plain.port}/c`, {headers: viaProxy})).content).toBe(
		'plain ',
	);
	expect(plain.requests.at(-1)?.headers).not.toHaveProperty('proxy-authorization');
	expect(await throughTunnel(proxy, `localhost:${secure.port}`, proxy.root)).toContain('secure');
	expect(secure.requests.at(-1)?.headers.authorization).toBe('Bearer the-token');
	const ca = readFileSync(authority.ca, 'utf8');
	expect(await throughTunnel(proxy, `elsewhere.test:${other.port}`, ca)).toContain('other');
	expect(other.requests.at(-1)?.headers).not.toHaveProperty('authorization');
	await proxy.close();
	return asked;
}

const whole = (): string[] => [
	`POST ${plain.origin}/a`,
	`GET ${plain.origin}/b`,
	`GET http://elsewhere.test:${plain.port}/c`,
];
const tunnels = (): string[] => [`CONNECT localhost:${secure.port}`, `CONNECT elsewhere.test:${other.port}`];

describe('a proxy on the way out', () => {
	it("is the configuration's, or the environment's, for every form", async () => {
		const byConfiguration = await startProxy(configuration([], {proxy: upstream.url}), {env: {}});
		expect((await byAllForms(byConfiguration)).sort()).toEqual([...whole(), ...tunnels()].sort());
		asked = [];
		const env = {HTTP_PROXY: upstream.url, https_proxy: upstream.url};
		const byEnvironment = await startProxy(configuration(), {env});
		expect((await byAllForms(byEnvironment)).sort()).toEqual([...whole(), ...tunnels()].sort());
	});

	it('is left out by NO_PROXY, and by proxy: none', async () => {
		const env = {HTTP_PROXY: upstream.url, HTTPS_PROXY: upstream.url, NO_PROXY: '127.0.0.1,localhost'};
		const proxy = await startProxy(configuration(), {env});
		expect((await byAllForms(proxy)).sort()).toEqual([whole()[2], tunnels()[1]].sort());
		asked = [];
		const without = await startProxy(configuration([], {proxy: 'none'}), {env});
		const own = {'x-gatepass-secret': secret};
		expect((await ask(without, '/secure/a', {headers: own})).content).toBe('secure');
		expect(asked).toEqual([]);
		await without.close();
	});

	it('gets its own credential: by its URL, or by the host rule that names it', async () => {
		demanded = `Basic ${Buffer.from('me:word').toString('base64')}`;
		const inUrl = upstream.url.replace('://', '://me:word@');
		await byAllForms(await startProxy(configuration([], {proxy: inUrl}), {env: {}}));
		expect(new Set(credentials)).toEqual(new Set([demanded]));
		const rule = {match: upstream.url, strategy: 'static-token', options: {username: 'me', password: 'word'}};
		credentials = [];
		await byAllForms(await startProxy(configuration([rule], {proxy: upstream.url}), {env: {}}));
		expect(new Set(credentials)).toEqual(new Set([demanded]));
	});

	it('gets nothing by a rule with a star, and its refusal is told with what to do', async () => {
		demanded = 'Basic any';
		const star = {
			match: `http://*:${upstream.port}`,
			strategy: 'static-token',
			options: {token: 'x'},
			allowInsecure: true,
		};
		const proxy = await startProxy(configuration([star], {proxy: upstream.url}), {env: {}});
		const {statusCode, content} = await ask(proxy, '/secure/a', {headers: {'x-gatepass-secret': secret}});
		expect([statusCode, JSON.parse(content)]).toEqual([
			502,
			expect.objectContaining({
				detail: expect.stringContaining('asks for a credential (407)'),
				hint: expect.stringContaining(`match: ${upstream.url}`),
			}),
		]);
		expect(await throughTunnel(proxy, `elsewhere.test:${other.port}`, '')).toContain('asks for a credential');
		expect(new Set(credentials)).toEqual(new Set([undefined]));
		await proxy.close();
	});

	it('is not reached, and that is told', async () => {
		const proxy = await startProxy(configuration([], {proxy: 'http://localhost:1'}), {env: {}});
		const {statusCode, content} = await ask(proxy, '/secure/a', {headers: {'x-gatepass-secret': secret}});
		expect([statusCode, JSON.parse(content).detail]).toEqual([
			502,
			expect.stringContaining('cannot be reached'),
		]);
		expect(await throughTunnel(proxy, 'elsewhere.test:443', '')).toContain('cannot be reached');
		await proxy.close();
	});

	it('may not be the proxy itself', async () => {
		const [port] = await (await import('../servers/free-port.ts')).freePorts(1);
		const config = configuration([], {serve: {listen: `127.0.0.1:${port}`}});
		const env = {HTTPS_PROXY: `http://gatepass:${secret}@localhost:${port}`};
		await expect(startProxy(config, {env})).rejects.toThrow(/leads back to this proxy: \$HTTPS_PROXY/);
	});
});

describeWith([mitKdc, apacheProxy], 'a proxy on the way out that wants Negotiate', () => {
	let kdc: Kdc;
	let apache: ApacheProxy;
	const before = process.env.KRB5_CONFIG;

	beforeAll(async () => {
		kdc = await startKdc();
		process.env.KRB5_CONFIG = kdc.configuration;
		apache = await startApacheProxy(kdc, plain.origin);
	});
	afterAll(async () => {
		if (before === undefined) delete process.env.KRB5_CONFIG;
		else process.env.KRB5_CONFIG = before;
		await apache?.close();
		await kdc?.close();
	});

	it('gets a ticket by the rule that names it, beside the credentials of servers', async () => {
		const options = {library: 'mit', credentialCache: await kdc.ticket(), canonicalizeHostname: false};
		const rule = {match: apache.url, strategy: 'kerberos', options};
		const proxy = await startProxy(configuration([rule], {proxy: apache.url}), {env: {}});
		const own = {'x-gatepass-secret': secret};
		const sent = {headers: own, method: 'POST', body: 'x'.repeat(50_000)};
		expect((await ask(proxy, '/plain/a', sent)).content).toBe(`plain ${sent.body}`);
		expect((await ask(proxy, `${plain.origin}/b`, {headers: viaProxy})).content).toBe('plain ');
		expect(plain.requests.at(-1)?.headers.authorization).toBe('Bearer the-token');
		expect((await ask(proxy, '/secure/a', {headers: own})).content).toBe('secure');
		expect(await throughTunnel(proxy, `localhost:${secure.port}`, proxy.root)).toContain('secure');
		// Nobody knows this name, but the proxy knows who asks.
		expect(
			(await ask(proxy, 'http://elsewhere.test/c', {headers: viaProxy})).statusCode,
		).toBeGreaterThanOrEqual(500);
		await throughTunnel(proxy, 'elsewhere.test:443', '');
		for (const {headers} of [...plain.requests, ...secure.requests]) {
			expect(headers).not.toHaveProperty('proxy-authorization');
		}
		await proxy.close();
		const alice = `alice@${kdc.realm}`;
		const lines = async (): Promise<string[]> =>
			(await apache.log())
				.filter(line => line.endsWith(alice))
				.map(line => line.replace(/ 5\d\d /, ' 5xx '))
				.sort();
		await expect
			.poll(lines)
			.toEqual(
				[
					`POST ${plain.origin}/a 200 ${alice}`,
					`GET ${plain.origin}/b 200 ${alice}`,
					`CONNECT localhost:${secure.port} 200 ${alice}`,
					`GET http://elsewhere.test/c 5xx ${alice}`,
					`CONNECT elsewhere.test:443 5xx ${alice}`,
				].sort(),
			);
	});
});
