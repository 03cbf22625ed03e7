/** The ways out: proxies of the configuration, of rules and of the environment; and what goes past all of them. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readFile} from 'node:fs/promises';
import {Agent, createServer, type IncomingMessage, request as requestHttp, type Server} from 'node:http';
import {Agent as HttpsAgent} from 'node:https';
import {type AddressInfo, connect} from 'node:net';
import type {Duplex} from 'node:stream';
import got from 'got';
import {ProxyAgent} from 'undici';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {createGatepass, type Gatepass, type GatepassSettings} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {clients} from './clients.ts';
import {type RecordingServer, startRecordingServer} from './recording-servers.ts';

let authority: TestAuthority;
let secure: RecordingServer;
let plain: RecordingServer;
let proxy: {server: Server; url: string};
let asked: {line: string; credential: string | undefined; authorization: string | undefined}[];
let demanded: string | undefined;
const sockets: Duplex[] = [];

const note = ({method, url, headers}: IncomingMessage): void => {
	const {'proxy-authorization': credential, authorization} = headers;
	asked.push({line: `${method} ${url}`, credential, authorization});
};

/** Passes on tunnels and requests for whole URLs. */
async function startProxy(): Promise<{server: Server; url: string}> {
	const server = createServer((incoming, response) => {
		note(incoming);
		const {method, url = '', headers} = incoming;
		const {'proxy-authorization': credential, ...others} = headers;
		if (demanded !== undefined && credential !== demanded) {
			response.writeHead(407).end();
			return;
		}
		const passed = requestHttp(url, {method, headers: others, agent: false}, answer => {
			response.writeHead(answer.statusCode ?? 0, answer.headers);
			answer.pipe(response);
		});
		incoming.pipe(passed);
	});
	server.on('connect', (incoming: IncomingMessage, socket: Duplex) => {
		note(incoming);
		sockets.push(socket.on('error', () => {}));
		if (demanded !== undefined && incoming.headers['proxy-authorization'] !== demanded) {
			socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
			return;
		}
		const [host, port] = String(incoming.url).split(':');
		const other = connect(Number(port), host, () => {
			socket.write('HTTP/1.1 200 OK\r\n\r\n');
			socket.pipe(other).pipe(socket);
		});
		sockets.push(other.on('error', () => {}));
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	return {server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`};
}

beforeAll(async () => {
	authority = await createTestAuthority();
	const own = await authority.issue('server', {subject: 'CN=server', hosts: ['127.0.0.1']});
	secure = await startRecordingServer('127.0.0.1', own);
	plain = await startRecordingServer('127.0.0.1');
	proxy = await startProxy();
});
beforeEach(() => {
	asked = [];
	demanded = undefined;
});
afterAll(async () => {
	for (const socket of sockets) socket.destroy();
	proxy.server.closeAllConnections();
	await Promise.all([secure.close(), plain.close(), new Promise(resolve => proxy.server.close(resolve))]);
	await authority.close();
});

type Setting = {readonly common?: string; readonly rule?: string; readonly allowInsecure?: boolean};
const gatepassWith = async (
	{common, rule, allowInsecure = true}: Setting,
	env: GatepassSettings['env'] = {},
	more: readonly {match: string; strategy: 'static-token'; options: object}[] = [],
): Promise<Gatepass> =>
	createGatepass({
		env,
		got: got.extend({retry: {limit: 0}}),
		config: {
			cache: {url: 'memory:'},
			...(common !== undefined && {proxy: common}),
			trust: [{match: secure.origin, ca: authority.ca, only: true}],
			hostRules: [
				...[secure.origin, plain.origin].map(match => ({
					match,
					strategy: 'static-token' as const,
					options: {token: 'CANARY'},
					...(rule !== undefined && {proxy: rule}),
					...(match === plain.origin && {allowInsecure}),
				})),
				...(more as never[]),
			],
		},
	});

/** Of these, flow sends by agents of its own user. */
const senders = clients.filter(({name}) => name !== 'flow').map(client => [client.name, client] as const);

const tunnel = (): string => `CONNECT ${new URL(secure.origin).host}`;
const whole = (): string => `GET ${plain.origin}/runs`;
const lines = (): string[] => asked.map(({line}) => line);

describe.each(senders)('%s', (_name, {send}) => {
	const both = async (gatepass: Gatepass): Promise<string[]> => {
		for (const {origin, sightings} of [secure, plain]) {
			expect(await send(gatepass, `${origin}/runs`)).toMatchObject({status: 200, body: 'arrived'});
			expect(sightings.at(-1)?.headers.authorization).toBe('Bearer CANARY');
		}
		await gatepass.close();
		return lines();
	};
	const variables = (): Record<string, string> => ({HTTPS_PROXY: proxy.url, HTTP_PROXY: proxy.url});

	test('by a URL in the configuration, and in a rule', async () => {
		const ways = [tunnel(), whole()];
		expect(await both(await gatepassWith({common: proxy.url}))).toEqual(ways);
		// A tunnel shows nothing of what is inside.
		expect(asked[0]).toMatchObject({credential: undefined, authorization: undefined});
		expect(await both(await gatepassWith({rule: proxy.url}))).toEqual([...ways, ...ways]);
	});

	test('by the environment, where it says so or Node is told to', async () => {
		const ways = [tunnel(), whole()];
		expect(await both(await gatepassWith({}, variables()))).toEqual([]);
		expect(await both(await gatepassWith({}, {...variables(), NODE_USE_ENV_PROXY: '1'}))).toEqual(ways);
		asked = [];
		expect(await both(await gatepassWith({common: 'environment'}, variables()))).toEqual(ways);
		asked = [];
		const lowerCase = {https_proxy: proxy.url, HTTPS_PROXY: 'http://127.0.0.1:1'};
		expect(await both(await gatepassWith({rule: 'environment'}, lowerCase))).toEqual([tunnel()]);
	});

	test('past it: NO_PROXY, none, and a rule of its own', async () => {
		const told = {...variables(), NODE_USE_ENV_PROXY: '1'};
		for (const NO_PROXY of ['*', '127.0.0.1', 'a.example, 127.0.0.0-127.0.0.9']) {
			expect(await both(await gatepassWith({}, {...told, NO_PROXY}))).toEqual([]);
		}
		const {host} = new URL(secure.origin);
		expect(await both(await gatepassWith({}, {...told, no_proxy: host}))).toEqual([whole()]);
		asked = [];
		expect(await both(await gatepassWith({common: 'none'}, told))).toEqual([]);
		expect(await both(await gatepassWith({common: proxy.url, rule: 'none'}))).toEqual([]);
	});

	test("the proxy's own credential reaches it alone, together with the server's", async () => {
		demanded = `Basic ${Buffer.from('us er:pass').toString('base64')}`;
		const {host} = new URL(proxy.url);
		await both(await gatepassWith({common: `http://us%20er:pass@${host}`}));
		expect(asked.map(({credential}) => credential)).toEqual([demanded, demanded]);
		for (const {sightings} of [secure, plain]) {
			expect(sightings.at(-1)?.headers).not.toHaveProperty('proxy-authorization');
		}
	});

	test('it gets the credential of the host rule that names it, and nothing by a star', async () => {
		demanded = `Basic ${Buffer.from('me:word').toString('base64')}`;
		const options = {username: 'me', password: 'word'};
		const named = [{match: proxy.url, strategy: 'static-token' as const, options}];
		await both(await gatepassWith({common: proxy.url}, {}, named));
		expect(asked.map(({credential}) => credential)).toEqual([demanded, demanded]);
		for (const {sightings} of [secure, plain]) {
			expect(sightings.at(-1)?.headers).not.toHaveProperty('proxy-authorization');
		}
		asked = [];
		const star = [{...named[0], match: `http://*:${new URL(proxy.url).port}`, allowInsecure: true}] as never;
		const gatepass = await gatepassWith({common: proxy.url}, {}, star);
		await expect(send(gatepass, secure.origin)).rejects.toThrow();
		expect(asked.map(({credential}) => credential)).toEqual([undefined]);
		await gatepass.close();
	});

	test('one that refuses is named, without its password', async () => {
		demanded = 'Basic other';
		const gatepass = await gatepassWith({common: `http://user:CANARY2@${new URL(proxy.url).host}`});
		const error = await send(gatepass, secure.origin).catch((reason: unknown) => reason);
		expect(error).toMatchObject({diagnostics: [{code: 'proxy-refused'}]});
		expect(String(error)).toContain(`${proxy.url} (proxy)`);
		expect(String(error)).not.toContain('CANARY2');
		await gatepass.close();
	});

	test('what is safe over plain http only because it stays here goes past all of them', async () => {
		const told = {...variables(), NODE_USE_ENV_PROXY: '1'};
		for (const setting of [{}, {common: proxy.url}, {rule: proxy.url}]) {
			expect(await both(await gatepassWith({...setting, allowInsecure: false}, told))).not.toContain(whole());
		}
	});
});

test('a token request takes the same way, and explain and doctor name it', async () => {
	const gatepass = await createGatepass({
		env: {NODE_USE_ENV_PROXY: '1', HTTPS_PROXY: proxy.url},
		config: {
			cache: {url: 'memory:'},
			trust: [{match: secure.origin, ca: authority.ca, only: true}],
			tokenRequest: {retries: 0},
			hostRules: [
				{
					match: 'https://api.example',
					strategy: 'sso-client-credentials',
					options: {clientId: 'id', clientSecret: 'CANARY', tokenEndpoint: `${secure.origin}/token`},
				},
			],
		},
	});
	await expect(gatepass.authorize('https://api.example/')).rejects.toThrow();
	expect(lines()).toEqual([tunnel()]);
	expect(secure.sightings.at(-1)?.url).toBe('/token');
	const {notes} = gatepass.explain('https://api.example/');
	expect(notes).toContain(`Goes through the proxy ${proxy.url} ($HTTPS_PROXY)`);
	const {stages} = await gatepass.diagnose(`${secure.origin}/runs`);
	expect(stages.find(({evidence}) => evidence?.proxy !== undefined)?.evidence).toMatchObject({
		proxy: proxy.url,
		heeded: true,
	});
	await gatepass.close();
});

test("an https.Agent with variables of its caller's takes that way", async () => {
	const gatepass = await gatepassWith({});
	const https = new HttpsAgent({proxyEnv: {HTTPS_PROXY: proxy.url}} as object);
	await gatepass.got(secure.origin, {agent: {https}});
	expect(lines()).toEqual([tunnel()]);
	await gatepass.close();
});

describe('to this machine', () => {
	test('an agent and a dispatcher of the caller are no way out for plain http', async () => {
		const gatepass = await gatepassWith({allowInsecure: false});
		const {hostname, port} = new URL(proxy.url);
		const http = new Agent();
		http.createConnection = ((_options: object, created: never) =>
			connect({host: hostname, port: Number(port)}, created)) as never;
		await gatepass.got(plain.origin, {agent: {http}});
		await gatepass.got(plain.origin, {createConnection: http.createConnection as never});
		await gatepass.got(plain.origin, {dnsLookup: () => expect.unreachable()});
		const dispatcher = new ProxyAgent(proxy.url);
		await (await gatepass.fetch(plain.origin, {dispatcher})).text();
		expect(lines()).toEqual([]);
		await dispatcher.close();
		await gatepass.close();
	});

	test.each(senders)('%s: names below localhost are asked of nobody', async (_name, {send}) => {
		const {port} = new URL(plain.origin);
		const origin = `http://api.localhost:${port}`;
		const gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				hostRules: [{match: origin, strategy: 'static-token', options: {token: 'CANARY'}}],
			},
		});
		// Another server under that name would be elsewhere.
		expect(await send(gatepass, `${origin}/named`)).toMatchObject({status: 200});
		expect(plain.sightings.at(-1)).toMatchObject({url: '/named', headers: {authorization: 'Bearer CANARY'}});
		await gatepass.close();
	});

	test("Node's own heeding of HTTP_PROXY leads nothing away", async () => {
		const program = `
			import {createGatepass} from ${JSON.stringify(new URL('../../dist/src/index.js', import.meta.url).href)};
			const match = ${JSON.stringify(plain.origin)};
			const gatepass = await createGatepass({config: {cache: {url: 'memory:'}, hostRules: [
				{match, strategy: 'static-token', options: {token: 'CANARY'}},
			]}});
			const answers = [await gatepass.got(match).text(), await (await gatepass.fetch(match)).text()];
			console.log(JSON.stringify(answers));
			await gatepass.close();`;
		const env = {...process.env, NODE_USE_ENV_PROXY: '1', HTTP_PROXY: proxy.url, NO_PROXY: '', no_proxy: ''};
		const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {env});
		let printed = '';
		child.stdout.on('data', chunk => {
			printed += chunk;
		});
		await once(child, 'close');
		expect(printed.trim()).toBe(JSON.stringify(['arrived', 'arrived']));
		expect(lines()).toEqual([]);
	});
});

test.each(['socks5://127.0.0.1:1080', '127.0.0.1:3128', 'sometimes'])('%s is no proxy', async setting => {
	await expect(gatepassWith({common: setting})).rejects.toMatchObject({
		problems: [{path: 'proxy', code: 'proxy-unusable'}],
	});
	await expect(gatepassWith({rule: setting})).rejects.toMatchObject({
		problems: [{code: 'proxy-unusable'}, {code: 'proxy-unusable'}],
	});
});

test('a proxy that speaks TLS is verified by its trust store', async () => {
	const {createServer: createTls} = await import('node:tls');
	const {certificate, key} = await authority.issue('proxy', {subject: 'CN=proxy', hosts: ['127.0.0.1']});
	const {port} = proxy.server.address() as AddressInfo;
	const front = createTls({cert: await readFile(certificate), key: await readFile(key)}, socket => {
		const back = connect(port, '127.0.0.1');
		for (const one of [socket, back]) sockets.push(one.on('error', () => {}));
		socket.pipe(back).pipe(socket);
	});
	await new Promise<void>(resolve => front.listen(0, '127.0.0.1', resolve));
	const url = `https://127.0.0.1:${(front.address() as AddressInfo).port}`;
	for (const isTrusted of [true, false]) {
		const gatepass = await createGatepass({
			got: got.extend({retry: {limit: 0}}),
			config: {
				cache: {url: 'memory:'},
				proxy: url,
				trust: [{match: isTrusted ? [secure.origin, url] : secure.origin, ca: authority.ca, only: true}],
				hostRules: [],
			},
		});
		const sent = gatepass.got(secure.origin).text();
		if (isTrusted) expect(await sent).toBe('arrived');
		else await expect(sent).rejects.toThrow();
		await gatepass.close();
	}
	expect(lines()).toEqual([tunnel()]);
	front.close();
});
