/** Over which connections undici sends: never over another identity's, another owner's, or an unverified one. */
import {readFile} from 'node:fs/promises';
import {createSecureServer, type Http2SecureServer, type Http2ServerRequest} from 'node:http2';
import {createServer as createHttpsServer, type Server} from 'node:https';
import type {AddressInfo, Socket} from 'node:net';
import type {TLSSocket} from 'node:tls';
import {inspect} from 'node:util';
import {Agent, Client, Pool, request} from 'undici';
import {Agent as Agent7} from 'undici7';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {z} from 'zod';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	createGatepass,
	defineStrategy,
	type Gatepass,
	Identities,
	inject,
	StrategyOptions,
} from '../../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../../src/testing/authority.ts';
import {certificatesOf} from '../../../src/tls/peer-certificates.ts';
import {subjectValues} from '../../../src/x509/names.ts';
import {failure} from '../scripted-stage.ts';

interface Seen {
	readonly path: string;
	readonly version: string;
	readonly certificate: string | undefined;
	readonly credential: unknown;
	/** Counted by the server. */
	readonly connection: number;
	readonly isResumed: boolean;
}

let authority: TestAuthority;
let other: TestAuthority;
let server: Http2SecureServer;
let untrusted: Server;
let origin: string;
let untrustedOrigin: string;
let seen: Seen[] = [];
const sockets = new Map<Socket, number>();
let gatepass: Gatepass;
const open: {close(): Promise<unknown>}[] = [];

/** Whose connection it is stands in the path: `/owned/NAME`. */
const OwnedStrategy = defineStrategy({
	name: 'owned',
	options: z.object({early: z.boolean().default(false), legs: z.number().default(1)}),
	async *authenticate(request, {options}) {
		request.connectionOwner = request.url.pathname.split('/')[2];
		for (let leg = 1; leg <= options.legs; leg += 1) {
			const connection = options.early ? await request.openConnection(5000) : undefined;
			opened.push(connection?.serverCertificate);
			request.headers.set('x-credential', `leg ${leg}`);
			yield;
		}
	},
});
const HeaderStrategy = defineStrategy({
	name: 'header',
	options: z.object({}),
	async *authenticate(request) {
		request.headers.set('x-credential', 'secret');
		yield;
	},
});
let opened: (Uint8Array | undefined)[] = [];

@authStrategy({name: 'shown', options: z.object({certificate: z.string(), key: z.string()})})
class ShownStrategy implements AuthStrategy {
	readonly #options: {certificate: string; key: string};
	readonly #identities: Identities;

	constructor(
		@inject(StrategyOptions) options: {certificate: string; key: string},
		@inject(Identities) identities: Identities,
	) {
		this.#options = options;
		this.#identities = identities;
	}

	async *authenticate(request: AuthRequest): Conversation {
		request.identity = await this.#identities.load(this.#options);
		yield;
	}
}

beforeAll(async () => {
	authority = await createTestAuthority();
	other = await createTestAuthority('another CA');
	const own = await authority.issue('server', {subject: 'CN=localhost', hosts: ['127.0.0.1']});
	server = createSecureServer({
		allowHTTP1: true,
		cert: await readFile(own.certificate),
		key: await readFile(own.key),
		requestCert: true,
		rejectUnauthorized: false,
	});
	server.on('secureConnection', socket => sockets.set(socket, sockets.size));
	server.on('request', (incoming, response) => {
		incoming.resume();
		const {headers, url: path, httpVersion: version} = incoming;
		const socket = socketOf(incoming);
		const connection = sockets.get(socket) ?? -1;
		const [shown] = certificatesOf(socket);
		const certificate = shown && subjectValues(shown, 'CN')[0];
		const isResumed = socket.isSessionReused();
		seen.push({path, version, certificate, credential: headers['x-credential'], connection, isResumed});
		if (path.includes('closing')) response.setHeader('connection', 'close');
		response.end('answered');
	});
	const theirs = await other.issue('server', {subject: 'CN=localhost', hosts: ['127.0.0.1']});
	untrusted = createHttpsServer(
		{cert: await readFile(theirs.certificate), key: await readFile(theirs.key)},
		({url = '', headers}, response) => {
			seen.push({path: url, credential: headers['x-credential']} as Seen);
			response.end('answered');
		},
	);
	[origin, untrustedOrigin] = (await Promise.all(
		[server, untrusted].map(
			one =>
				new Promise<string>(resolve => {
					one.listen(0, '127.0.0.1', () =>
						resolve(`https://127.0.0.1:${(one.address() as AddressInfo).port}`),
					);
				}),
		),
	)) as [string, string];
	const [alice, bob] = await Promise.all(
		['alice', 'bob'].map(name => authority.issue(name, {subject: `CN=${name}`})),
	);
	gatepass = await createGatepass({
		strategies: [OwnedStrategy, HeaderStrategy, ShownStrategy],
		config: {
			cache: {url: 'memory:'},
			trust: [
				{match: origin, ca: authority.ca, only: true},
				{match: `${untrustedOrigin}/by-store`, ca: authority.ca, only: true},
			],
			hostRules: [
				{match: `${origin}/alice`, strategy: 'shown', options: {...alice}},
				{match: `${origin}/bob`, strategy: 'shown', options: {...bob}},
				{match: `${origin}/owned`, strategy: 'owned'},
				{match: `${origin}/early`, strategy: 'owned', options: {early: true}},
				{match: `${origin}/legs`, strategy: 'owned', options: {early: true, legs: 3}},
				{match: `${origin}/header`, strategy: 'header'},
				{match: untrustedOrigin, strategy: 'header'},
			],
		},
	});
});

afterAll(async () => {
	await gatepass.close();
	for (const socket of sockets.keys()) socket.destroy();
	await new Promise(resolve => server.close(resolve));
	untrusted.closeAllConnections();
	await new Promise(resolve => untrusted.close(resolve));
	await authority.close();
	await other.close();
});

beforeEach(() => {
	seen = [];
	opened = [];
});
afterEach(async () => {
	await Promise.all(open.splice(0).map(one => one.close()));
});

function socketOf(incoming: Http2ServerRequest): TLSSocket {
	const socket = incoming.stream?.session?.socket ?? incoming.socket;
	// A session of HTTP/2 gives a stand-in for its socket.
	return [...sockets.keys()].find(
		known => known === socket || known.remotePort === socket.remotePort,
	) as TLSSocket;
}

const viaRequest = async (path: string, dispatcher: unknown = gatepass.dispatcher): Promise<string> => {
	const url = path.startsWith('https:') ? path : origin + path;
	return (await request(url, {dispatcher: dispatcher as Agent})).body.text();
};
/** What fails says why: fetch itself says no more than that it failed. */
const viaFetch = async (path: string): Promise<string> => {
	const answer = await gatepass.fetch(origin + path).catch((error: Error) => {
		throw new Error(`${path}: ${inspect(error.cause ?? error)}`, {cause: error});
	});
	return answer.text();
};

describe.each([
	['undici.request', viaRequest],
	['fetch', viaFetch],
] as const)('%s', (name, send) => {
	test('each identity has connections of its own, and keeps them', async () => {
		for (let round = 0; round < 3; round += 1) {
			for (const who of ['alice', 'bob', 'header']) expect(await send(`/${who}`)).toBe('answered');
		}
		const by = Map.groupBy(seen, ({path}) => path);
		expect([...by].map(([path, all]) => [path, new Set(all.map(({certificate}) => certificate))])).toEqual([
			['/alice', new Set(['alice'])],
			['/bob', new Set(['bob'])],
			['/header', new Set([undefined])],
		]);
		const connections = [...by.values()].map(all => new Set(all.map(({connection}) => connection)));
		expect(connections.map(({size}) => size)).toEqual([1, 1, 1]);
		expect(new Set(connections.flatMap(all => [...all])).size).toBe(3);
	});

	test('a hundred at once with two identities', async () => {
		await Promise.all(
			Array.from({length: 100}, (_, index) => send(`/${index % 2 === 0 ? 'alice' : 'bob'}/${index}`)),
		);
		expect(seen).toHaveLength(100);
		for (const {path, certificate} of seen) expect(path.split('/')[1]).toBe(certificate);
		const owners = Map.groupBy(seen, ({connection}) => connection);
		for (const all of owners.values()) expect(new Set(all.map(({certificate}) => certificate)).size).toBe(1);
	});

	test.each(['owned', 'early', 'legs'])(
		'each owner has connections of its own, and keeps them: %s',
		async rule => {
			for (let round = 0; round < 3; round += 1) {
				for (const who of ['carol', 'dave']) await send(`/${rule}/${who}`);
			}
			const by = Map.groupBy(seen, ({path}) => path);
			const connections = [...by.values()].map(all => new Set(all.map(({connection}) => connection)));
			expect(connections.map(({size}) => size)).toEqual([1, 1]);
			expect(new Set(connections.flatMap(all => [...all])).size).toBe(2);
			expect(seen.every(({version, isResumed}) => version === '1.1' && !isResumed)).toBe(true);
		},
	);

	test('owners at once', async () => {
		// To the end of all of them, also where one fails: none is left for the next test.
		const outcomes = await Promise.allSettled(
			Array.from({length: 60}, (_, index) => send(`/${index % 3 === 0 ? 'owned' : 'legs'}/${index % 2}`)),
		);
		expect(outcomes.filter(({status}) => status === 'rejected')).toEqual([]);
		const owners = Map.groupBy(seen, ({connection}) => connection);
		for (const all of owners.values()) expect(new Set(all.map(({path}) => path)).size).toBe(1);
	});

	test('HTTP/2 where no identity is involved, to whom understands it', async () => {
		await send('/header');
		await send('/unruled');
		await send('/alice');
		const versions = name === 'fetch' ? ['1.1', '1.1', '1.1'] : ['2.0', '2.0', '1.1'];
		expect(seen.map(({version}) => version)).toEqual(versions);
		expect(seen.map(({credential}) => credential)).toEqual(['secret', undefined, undefined]);
	});

	test('a connection that the server closes after each answer', async () => {
		for (let round = 0; round < 3; round += 1) await send('/legs/closing');
		expect(seen).toHaveLength(9);
		expect(new Set(seen.map(({connection}) => connection)).size).toBe(9);
		expect(opened.every(certificate => certificate !== undefined)).toBe(true);
	});
});

test('a connection that is asked for shows the certificate of its server, for each leg', async () => {
	await viaRequest('/legs/eve');
	const {raw} = new (await import('node:crypto')).X509Certificate(
		await readFile((await authority.issue('again', {subject: 'CN=x'})).certificate),
	);
	expect(opened).toHaveLength(3);
	expect(raw.equals(opened[0] as Uint8Array)).toBe(false);
	expect(new Set(opened.map(certificate => Buffer.from(certificate ?? []).toString('hex'))).size).toBe(1);
});

describe('a server that is not trusted', () => {
	const nobody = async (send: () => Promise<unknown>): Promise<void> => {
		const error = await failure(send());
		expect(error).toMatchObject({name: 'CertificateError', code: 'ERR_GATEPASS_CERTIFICATE'});
		expect(seen).toEqual([]);
	};

	test.each(['/by-store', '/by-system'])('%s: no credential is sent', async path => {
		await nobody(() => viaRequest(untrustedOrigin + path));
		await nobody(() => gatepass.fetch(untrustedOrigin + path));
	});

	test('whatever the environment says', async () => {
		process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
		try {
			await nobody(() => viaRequest(`${untrustedOrigin}/by-system`));
			await nobody(() => viaRequest(`${untrustedOrigin}/by-store`));
			const agent = new Agent();
			open.push(agent);
			await nobody(() => viaRequest(`${untrustedOrigin}/by-system`, gatepass.intercept(agent)));
		} finally {
			delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
		}
	});

	const careless = {rejectUnauthorized: false};
	test.each<[string, () => {close(): Promise<unknown>}]>([
		['an Agent of undici 8', () => new Agent({connect: careless})],
		['an Agent of undici 7', () => new Agent7({connect: careless})],
		[
			'an Agent that checks no names',
			() => new Agent({connect: {...careless, checkServerIdentity: () => undefined}}),
		],
		[
			'a composed Agent',
			() =>
				new Agent({connect: careless}).compose(dispatch => (options, handler) => dispatch(options, handler)),
		],
		['a Pool', () => new Pool(untrustedOrigin, {connect: careless})],
		['a Client', () => new Client(untrustedOrigin, {connect: careless})],
	])(
		"%s of the caller's that does not verify: it does not hold where there is a rule",
		async (_name, make) => {
			const callers = make();
			open.push(callers);
			const dispatcher = gatepass.intercept(callers as Agent);
			await nobody(() => viaRequest(`${untrustedOrigin}/by-system`, dispatcher));
			await nobody(() => viaRequest(`${untrustedOrigin}/by-store`, dispatcher));
		},
	);

	test("without a rule and a trust entry it is the caller's own matter", async () => {
		const bare = await createGatepass({config: {cache: {url: 'memory:'}, hostRules: []}});
		open.push(bare);
		const agent = new Agent({connect: careless});
		open.push(agent);
		expect(await viaRequest(untrustedOrigin, bare.intercept(agent))).toBe('answered');
		await failure(viaRequest(untrustedOrigin, bare.dispatcher));
	});
});

test('when gatepass is closed, so are its connections, and a dispatcher that is closed sends no more', async () => {
	const own = await createGatepass({
		config: {cache: {url: 'memory:'}, trust: [{match: origin, ca: authority.ca}], hostRules: []},
	});
	await viaRequest('/until-the-end', own.dispatcher);
	await own.dispatcher.close();
	const error = await failure(viaRequest('/', own.dispatcher));
	expect(error).toMatchObject({name: 'ClientClosedError'});
	await own.close();
	const others = await createGatepass({
		config: {cache: {url: 'memory:'}, trust: [{match: origin, ca: authority.ca}], hostRules: []},
	});
	await others.fetch(`${origin}/kept`).then(response => response.text());
	const {connection} = seen.at(-1) as Seen;
	const socket = [...sockets].find(([, number]) => number === connection)?.[0] as Socket;
	await others.close();
	await expect.poll(() => socket.destroyed).toBe(true);
});
