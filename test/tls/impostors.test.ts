/**
 * An impostor, whose certificate is issued by a CA that nobody has named: whatever the caller's agents, instances,
 * dispatchers and Node's global agent say about verification, it gets no credential. What a caller allows one request
 * for one origin holds there alone.
 */
import {readFile} from 'node:fs/promises';
import {createServer as createProxy, request as requestPlain, type Server} from 'node:http';
import {
	connect as connectHttp2,
	createSecureServer,
	type Http2Session,
	type SecureServerOptions,
} from 'node:http2';
import {type AgentOptions, globalAgent, Agent as HttpsAgent} from 'node:https';
import {type AddressInfo, connect as connectPlain, type Socket} from 'node:net';
import type {Duplex} from 'node:stream';
import {type ConnectionOptions, connect} from 'node:tls';
import got, {type OptionsInit} from 'got';
import {Agent as Dispatcher, request} from 'undici';
import {afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {type RecordingServer, startRecordingServer} from '../transports/recording-servers.ts';

let right: TestAuthority;
let wrong: TestAuthority;
/** Each has a certificate of the wrong CA. */
let impostor: RecordingServer;
let another: RecordingServer;
let honest: RecordingServer;
let wrongCa: string;
let trusting: Gatepass;
let ruled: Gatepass;
const opened: {destroy(): unknown}[] = [];

const rules = (): {match: string; strategy: string; options: Record<string, unknown>}[] =>
	[impostor, another, honest].map(({origin}) => ({
		match: origin,
		strategy: 'static-token',
		options: {token: 'CANARY'},
	}));

beforeAll(async () => {
	[right, wrong] = await Promise.all([createTestAuthority(), createTestAuthority()]);
	const [bad, good] = await Promise.all([
		wrong.issue('impostor', {subject: 'CN=impostor', hosts: ['127.0.0.1', 'elsewhere.example']}),
		right.issue('honest', {subject: 'CN=honest', hosts: ['127.0.0.1']}),
	]);
	[impostor, another, honest] = await Promise.all([
		startRecordingServer('127.0.0.1', bad),
		startRecordingServer('127.0.0.1', bad),
		startRecordingServer('127.0.0.1', good),
	]);
	wrongCa = await readFile(wrong.ca, 'utf8');
	const trust = [{match: 'https://127.0.0.1:*', ca: right.ca, only: true}];
	const plain = got.extend({retry: {limit: 0}});
	trusting = await createGatepass({got: plain, config: {cache: {url: 'memory:'}, trust, hostRules: rules()}});
	ruled = await createGatepass({got: plain, config: {cache: {url: 'memory:'}, hostRules: rules()}});
});

afterAll(async () => {
	for (const one of opened) one.destroy();
	await Promise.all([trusting.close(), ruled.close()]);
	await Promise.all([impostor, another, honest].map(server => server.close()));
	await Promise.all([right.close(), wrong.close()]);
});

async function certificateOf(authority: TestAuthority): Promise<SecureServerOptions> {
	const {certificate, key} = await authority.issue('http2', {subject: 'CN=http2', hosts: ['127.0.0.1']});
	return {allowHTTP1: true, cert: await readFile(certificate), key: await readFile(key)};
}

let before: Map<RecordingServer, number>;
beforeEach(() => {
	before = new Map([impostor, another, honest].map(server => [server, server.sightings.length]));
});

const seenBy = (server: RecordingServer): number => server.sightings.length - (before.get(server) ?? 0);

/** What weakens verification, as options of TLS. */
const weak: Readonly<Record<string, () => ConnectionOptions>> = {
	'its own ca': () => ({ca: wrongCa}),
	'rejectUnauthorized: false': () => ({rejectUnauthorized: false}),
	'checkServerIdentity, with its own ca': () => ({ca: wrongCa, checkServerIdentity: () => undefined}),
	'checkServerIdentity alone': () => ({rejectUnauthorized: false, checkServerIdentity: () => undefined}),
};

const forGot = ({ca, rejectUnauthorized, checkServerIdentity}: ConnectionOptions): OptionsInit => ({
	https: {
		...(ca !== undefined && {certificateAuthority: ca as string}),
		...(rejectUnauthorized !== undefined && {rejectUnauthorized}),
		...(checkServerIdentity !== undefined && {checkServerIdentity}),
	},
});

async function refused(sent: Promise<unknown>): Promise<void> {
	const error = await sent.then(
		() => undefined,
		(reason: unknown) => reason,
	);
	expect(error).toBeInstanceOf(Error);
	expect(seenBy(impostor)).toBe(0);
}

const agentWith = (options: AgentOptions): HttpsAgent => {
	const agent = new HttpsAgent(options);
	opened.push(agent);
	return agent;
};

describe.each([
	['a rule and a trust store', () => trusting],
	['a rule', () => ruled],
])('under %s', (_name, gatepass) => {
	describe.each(Object.keys(weak))('%s', name => {
		const options = (): ConnectionOptions => weak[name]?.() ?? {};

		test("in a caller's agent", async () => {
			await refused(gatepass().got(impostor.origin, {agent: {https: agentWith(options() as AgentOptions)}}));
			const kept = agentWith({...(options() as AgentOptions), keepAlive: true});
			await refused(gatepass().got(impostor.origin, {agent: {https: kept}}));
			await refused(gatepass().got(impostor.origin, {agent: {https: kept}, http2: true}));
		});

		test("in an agent of a caller's instance, and in its options", async () => {
			const {got: ours} = gatepass();
			await refused(ours.extend({agent: {https: agentWith(options() as AgentOptions)}})(impostor.origin));
			const weakened = ours.extend(forGot(options()));
			await refused(weakened(impostor.origin));
			await refused(weakened(impostor.origin, {http2: true}));
			await refused(weakened.extend({retry: {limit: 0}})(impostor.origin, {https: {ciphers: 'ALL'}}));
			await refused(gatepass().extend(got.extend(forGot(options())))(impostor.origin));
			await refused(weakened.paginate.all(impostor.origin));
		});

		test('on the global agent of Node', async () => {
			const {options: global} = globalAgent;
			const kept = {...global};
			onTestFinished(() => {
				for (const key of Object.keys(global)) delete (global as Record<string, unknown>)[key];
				Object.assign(global, kept);
			});
			Object.assign(global, options());
			await refused(gatepass().got(impostor.origin));
			await refused(gatepass().got(impostor.origin, {http2: true}));
		});

		test('in a function that connects', async () => {
			const createConnection = (given: object): unknown => connect({...given, ...options()});
			const agent = agentWith({});
			agent.createConnection = createConnection as HttpsAgent['createConnection'];
			await refused(gatepass().got(impostor.origin, {agent: {https: agent}}));
			if (gatepass() === ruled) return;
			await refused(gatepass().got(impostor.origin, {createConnection: createConnection as never}));
		});

		test("in a dispatcher of the caller's", async () => {
			const callers = new Dispatcher({connect: options() as object});
			opened.push(callers);
			await refused(request(impostor.origin, {dispatcher: gatepass().intercept(callers)}));
			await refused(gatepass().fetch(impostor.origin, {dispatcher: callers}));
		});
	});

	test('another name to look for, from an instance or a header', async () => {
		const {got: ours} = gatepass();
		const named = {https: {certificateAuthority: wrongCa, serverName: 'elsewhere.example'}};
		await refused(ours.extend(named)(impostor.origin));
		await refused(ours(impostor.origin, {headers: {host: 'elsewhere.example'}}));
	});
});

describe('what is allowed one request', () => {
	const allowed = {https: {rejectUnauthorized: false}} as const;

	test('holds for its origin', async () => {
		await ruled.got(impostor.origin, allowed);
		await trusting.got(`${impostor.origin}/?to=/further&status=307`, allowed);
		expect(seenBy(impostor)).toBe(3);
		expect(impostor.sightings.at(-1)?.headers.authorization).toBe('Bearer CANARY');
		await ruled.got(impostor.origin, {https: {certificateAuthority: wrongCa}});
		expect(seenBy(impostor)).toBe(4);
	});

	test('does not hold for the next request', async () => {
		await trusting.got(another.origin, allowed);
		await refused(trusting.got(impostor.origin));
		await refused(trusting.got(another.origin).then(() => expect.unreachable()));
	});

	test('does not hold for the next request over HTTP/2, nor does a session that is open', async () => {
		const versions: string[] = [];
		const server = createSecureServer(await certificateOf(wrong), (incoming, response) => {
			versions.push(incoming.httpVersion);
			response.end();
		});
		const sessions = new Set<Http2Session>();
		server.on('session', session => sessions.add(session));
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
		onTestFinished(() => {
			for (const session of sessions) session.destroy();
			server.close();
		});
		const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
		const plain = got.extend({retry: {limit: 0}, http2: true});
		await using gatepass = await createGatepass({
			got: plain,
			config: {
				cache: {url: 'memory:'},
				hostRules: [{match: origin, strategy: 'static-token', options: {token: 'CANARY'}}],
			},
		});
		await gatepass.got(origin, allowed);
		await gatepass.got(origin, {
			https: {certificateAuthority: wrongCa, checkServerIdentity: () => undefined},
		});
		// Sessions that others have opened without verification.
		await plain(origin, {https: {rejectUnauthorized: false}});
		const h2session = connectHttp2(origin, {rejectUnauthorized: false});
		onTestFinished(() => h2session.destroy());
		expect(versions).toEqual(['1.1', '1.1', '2.0']);
		for (const options of [{}, {h2session}, {https: {ciphers: 'DEFAULT'}}]) {
			await expect(gatepass.got(origin, options)).rejects.toThrow();
		}
		const {NODE_TLS_REJECT_UNAUTHORIZED: kept} = process.env;
		onTestFinished(() => {
			if (kept === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
			else process.env.NODE_TLS_REJECT_UNAUTHORIZED = kept;
		});
		process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
		await expect(gatepass.got(origin)).rejects.toThrow();
		await expect(gatepass.got.extend({https: {rejectUnauthorized: false}})(origin)).rejects.toThrow();
		expect(versions).toEqual(['1.1', '1.1', '2.0']);
	});

	const ways: Readonly<Record<string, (to: string) => Promise<unknown>>> = {
		'a redirect': to =>
			trusting.got(`${another.origin}/?${new URLSearchParams({to, status: '307'})}`, allowed),
		'a page': to =>
			trusting.got.paginate.all(another.origin, {
				...allowed,
				pagination: {
					transform: () => [1],
					paginate: ({response}) => (response.url.startsWith(another.origin) ? {url: new URL(to)} : false),
				},
			}),
		'a retry with other options': to =>
			trusting.got(another.origin, {
				...allowed,
				hooks: {
					afterResponse: [
						(response, retry) => (response.url.startsWith(another.origin) ? retry({url: to}) : response),
					],
				},
			}),
		'a hook that changes the URL': to =>
			trusting.got(another.origin, {
				...allowed,
				hooks: {
					beforeRequest: [
						options => {
							options.url = new URL(to);
						},
					],
				},
			}),
		'a hook before a redirect': to =>
			trusting.got(`${another.origin}/?to=/&status=307`, {
				...allowed,
				hooks: {
					beforeRedirect: [
						options => {
							options.url = new URL(to);
						},
					],
				},
			}),
	};

	test.each(Object.keys(ways))('does not follow %s', async way => {
		await refused((ways[way] as (to: string) => Promise<unknown>)(`${impostor.origin}/`));
	});
});

/** Asks a proxy for a tunnel. */
function tunnelBy(proxy: number, authority: string): Promise<Socket> {
	return new Promise((resolve, reject) => {
		const options = {host: '127.0.0.1', port: proxy, method: 'CONNECT', path: authority, agent: false};
		requestPlain(options)
			.on('connect', (_response, socket: Socket) => resolve(socket))
			.on('error', reject)
			.end();
	});
}

/** As those of agent-base, such as https-proxy-agent. */
class AgentOfItsOwnWay extends HttpsAgent {
	readonly proxy: number;
	constructor(proxy: number) {
		super({rejectUnauthorized: false});
		this.proxy = proxy;
		// They take requests in their own way.
		Object.assign(this, {createSocket: () => expect.unreachable()});
	}

	async connect(
		_request: unknown,
		{host, port, secureEndpoint}: {host: string; port: number; secureEndpoint: boolean},
	): Promise<Socket> {
		const socket = await tunnelBy(this.proxy, `${host}:${port}`);
		return secureEndpoint ? connect({socket, rejectUnauthorized: false}) : socket;
	}
}

/** As hpagent's. */
class AgentThatConnects extends HttpsAgent {
	readonly proxy: number;
	constructor(proxy: number) {
		super({rejectUnauthorized: false});
		this.proxy = proxy;
	}

	override createConnection(...parameters: Parameters<HttpsAgent['createConnection']>): undefined {
		const [options, created] = parameters as unknown as [
			{host: string; port: number},
			(error: Error | null, socket?: Socket) => void,
		];
		tunnelBy(this.proxy, `${options.host}:${options.port}`).then(
			socket => created(null, connect({...options, socket, rejectUnauthorized: false})),
			created,
		);
	}
}

describe('a proxying agent of the caller is the way, and verifies nothing', () => {
	let asked: string[];
	let proxy: Server;
	const sockets: Duplex[] = [];

	beforeAll(async () => {
		proxy = createProxy().on('connect', ({url = ''}, socket) => {
			asked.push(url);
			const [host, port] = url.split(':');
			const other = connectPlain(Number(port), host, () => {
				socket.write('HTTP/1.1 200 OK\r\n\r\n');
				socket.pipe(other).pipe(socket);
			});
			for (const one of [socket, other]) sockets.push(one.on('error', () => {}));
		});
		await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve));
	});
	afterAll(async () => {
		for (const socket of sockets) socket.destroy();
		await new Promise(resolve => proxy.close(resolve));
	});
	beforeEach(() => {
		asked = [];
	});

	test.each([
		['one of agent-base', AgentOfItsOwnWay],
		['one that overrides createConnection', AgentThatConnects],
	])('%s', async (_name, Agent) => {
		const https = new Agent((proxy.address() as AddressInfo).port);
		opened.push(https);
		expect(await trusting.got(honest.origin, {agent: {https}}).text()).toBe('arrived');
		expect(honest.sightings.at(-1)?.headers.authorization).toBe('Bearer CANARY');
		expect(asked).toEqual([new URL(honest.origin).host]);
		await refused(trusting.got(impostor.origin, {agent: {https}}));
		expect(asked).toHaveLength(2);
	});
});

test.each(Object.keys(weak))('a token endpoint gets no client secret: %s on the global agent', async name => {
	const {options: global} = globalAgent;
	const kept = {...global};
	onTestFinished(() => {
		for (const key of Object.keys(global)) delete (global as Record<string, unknown>)[key];
		Object.assign(global, kept);
	});
	Object.assign(global, weak[name]?.());
	await expectNoTokenRequest();
});

test('a token endpoint gets no client secret under NODE_TLS_REJECT_UNAUTHORIZED=0', async () => {
	vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
	onTestFinished(() => void vi.unstubAllEnvs());
	await expectNoTokenRequest();
});

/** No token is asked for there, and so no client secret shown, with and without a trust store. */
async function expectNoTokenRequest(): Promise<void> {
	for (const trust of [[], [{match: impostor.origin, ca: right.ca, only: true}]]) {
		await using gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				trust,
				tokenRequest: {retries: 0},
				hostRules: [
					{
						match: honest.origin,
						strategy: 'sso-client-credentials',
						options: {clientId: 'id', clientSecret: 'CANARY', tokenEndpoint: `${impostor.origin}/token`},
					},
				],
			},
		});
		await refused(gatepass.authorize(honest.origin));
	}
}
