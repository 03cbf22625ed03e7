/**
 * No secret hangs on an error: neither on gatepass's own, nor on those of got, fetch and undici that pass through it,
 * nor in got's events.
 *
 * Not covered, because it is the caller's own doing: what the caller puts into got's options stays there, and what a
 * flow's user does with what it is told.
 */
import {channel, subscribe, unsubscribe} from 'node:diagnostics_channel';
import {readFile} from 'node:fs/promises';
import {createServer as createHttpServer, type IncomingMessage, type ServerResponse} from 'node:http';
import {createServer as createHttpsServer} from 'node:https';
import {type AddressInfo, createServer, type Server} from 'node:net';
import got from 'got';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {z} from 'zod';
import {createGatepass, defineStrategy, type Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {clients, type Received} from './clients.ts';
import {findSecrets} from './find-secrets.ts';

const canary = 'CANARY';
const secret = `${canary}-client-secret`;
const clientId = 'client-of-the-test';
/** The beginning of each token of `kerberos-stub`, which differ in what follows. */
const ticket = Buffer.from('{"target":"HTTP@').toString('base64').slice(0, 20);
const basic = Buffer.from(`${clientId}:${secret}`).toString('base64');

const HeaderStrategy = defineStrategy({
	name: 'header',
	options: z.object({value: z.string()}),
	async *authenticate(request, {options}) {
		request.headers.set('x-api-key', options.value);
		yield;
	},
});
const QueryStrategy = defineStrategy({
	name: 'query',
	options: z.object({value: z.string()}),
	async *authenticate(request, {options}) {
		request.url.searchParams.set('key', options.value);
		yield;
	},
});

const strategies = [
	'sso-client-credentials',
	'kerberos-stub',
	'grid-certificate',
	'header',
	'query',
] as const;
const schemes = ['http', 'https', 'untrusted', 'closed'] as const;

let authorities: [TestAuthority, TestAuthority];
let gatepass: Gatepass;
let origins: Record<(typeof schemes)[number], string>;
const servers: (Server & {closeAllConnections?(): void})[] = [];
let secrets: string[];
/** Ends each test with the credential that the server saw, so that no test passes for want of one. */
let arrived: string[] = [];
const waiting: (() => void)[] = [];

async function listen(server: Server): Promise<number> {
	servers.push(server);
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	return (server.address() as AddressInfo).port;
}

/** What the server does is the last part of the path: `/STRATEGY/CASE`. */
function answer(request: IncomingMessage, response: ServerResponse): void {
	const {headers, url = ''} = request;
	const {pathname, search} = new URL(url, 'http://server');
	const [, strategy, what] = pathname.split('/');
	const {authorization} = headers;
	if (strategy === 'kerberos-stub' && authorization === undefined) {
		response.writeHead(401, {'www-authenticate': 'Negotiate'}).end();
		return;
	}
	arrived.push(`${authorization} ${headers['x-api-key']} ${search}`);
	switch (what) {
		case 'failure':
			response.writeHead(500).end('it failed');
			return;
		case 'nonsense':
			response.writeHead(200).end('no JSON');
			return;
		case 'cut-off':
			response.writeHead(200, {'content-length': '100'}).write('the beginning', () => response.destroy());
			return;
		case 'round':
			response.writeHead(302, {location: pathname}).end();
			return;
		case 'broken':
			request.socket.end('this is no HTTP\r\n\r\n');
			return;
		case 'busy':
			response.writeHead(503).end();
			return;
		case 'hang':
			for (const goOn of waiting.splice(0)) goOn();
	}
}

beforeAll(async () => {
	authorities = [await createTestAuthority(), await createTestAuthority('another CA')];
	const [trusted, untrusted] = await Promise.all(
		authorities.map(async authority => {
			const files = await authority.issue('server', {subject: 'CN=localhost', hosts: ['127.0.0.1']});
			const tls = {cert: await readFile(files.certificate), key: await readFile(files.key)};
			return listen(createHttpsServer({...tls, requestCert: true, rejectUnauthorized: false}, answer));
		}),
	);
	const plain = await listen(createHttpServer(answer));
	const closed = createServer();
	const free = await listen(closed);
	await new Promise(resolve => closed.close(resolve));
	origins = {
		http: `http://127.0.0.1:${plain}`,
		https: `https://127.0.0.1:${trusted}`,
		untrusted: `https://127.0.0.1:${untrusted}`,
		closed: `https://127.0.0.1:${free}`,
	};
	const tokens = await listen(
		createHttpServer((request, response) => {
			response.setHeader('content-type', 'application/json');
			request.resume();
			response.end(JSON.stringify({access_token: `${canary}-token`, token_type: 'Bearer', expires_in: 3600}));
		}),
	);
	const echo = await listen(
		createHttpServer(async (request, response) => {
			const chunks = await request.toArray();
			const all = `${request.headers.authorization} ${Buffer.concat(chunks)} ${secret}`;
			response.writeHead(400, {'content-type': 'application/json', 'x-echo': all});
			response.end(JSON.stringify({error: 'invalid_request', error_description: all}));
		}),
	);
	const alice = await authorities[0].issue('alice', {subject: 'CN=alice'});
	const keyLines = (await readFile(alice.key, 'utf8')).split('\n').slice(1, 3);
	secrets = [canary, secret, basic, ticket, encodeURIComponent(secret), ...keyLines];
	const sso = (port: number, clientAuthentication: string) => ({
		clientId,
		clientSecret: secret,
		tokenEndpoint: `http://127.0.0.1:${port}/token`,
		clientAuthentication,
	});
	const optionsOf: Record<(typeof strategies)[number], Record<string, unknown>> = {
		'sso-client-credentials': sso(tokens, 'client_secret_basic'),
		'kerberos-stub': {mutualAuthentication: 'disabled'},
		'grid-certificate': {...alice},
		header: {value: `${canary}-key`},
		query: {value: `${canary}-key`},
	};
	gatepass = await createGatepass({
		got: got.extend({retry: {limit: 0}}),
		strategies: [HeaderStrategy, QueryStrategy],
		config: {
			cache: {url: 'memory:'},
			trust: [{match: 'https://127.0.0.1:*', ca: authorities[0].ca, only: true}],
			hostRules: [
				...Object.values(origins).flatMap(origin =>
					strategies.map(strategy => ({
						match: `${origin}/${strategy}`,
						strategy,
						options: optionsOf[strategy],
					})),
				),
				...['client_secret_basic', 'client_secret_post'].map(method => ({
					match: `${origins.http}/${method}`,
					strategy: 'sso-client-credentials',
					options: sso(echo, method),
				})),
				{match: `${origins.http}/proof`, strategy: 'kerberos-stub', options: {preemptive: true}},
			],
		},
	});
});

afterAll(async () => {
	await gatepass.close();
	for (const server of servers.filter(({listening}) => listening)) {
		const closed = new Promise(resolve => server.close(resolve));
		server.closeAllConnections?.();
		await closed;
	}
	for (const authority of authorities) await authority.close();
});

beforeEach(() => {
	arrived = [];
});

async function failureOf(promise: Promise<unknown>): Promise<Error> {
	const error = await promise.then(
		() => undefined,
		(reason: unknown) => reason,
	);
	expect(error).toBeInstanceOf(Error);
	return error as Error;
}

type Attempt = (url: string) => Promise<unknown>;
const plainly: Attempt = async url => gatepass.got(url);

/** What goes wrong, at which server, and the name and code of what the caller gets. */
const cases: [what: string, origin: (typeof schemes)[number], name: string, attempt: Attempt][] = (
	['http', 'https'] as const
).flatMap(origin => [
	['failure', origin, 'HTTPError', plainly],
	['failure', origin, 'HTTPError', async url => gatepass.got.stream(url).toArray()],
	['nonsense', origin, 'ParseError', async url => gatepass.got(url).json()],
	['nonsense', origin, 'ParseError', async url => gatepass.got(url, {responseType: 'json'})],
	['cut-off', origin, 'ReadError', plainly],
	['cut-off', origin, 'ReadError', async url => gatepass.got.stream(url).toArray()],
	['round', origin, 'MaxRedirectsError', plainly],
	['broken', origin, 'RequestError', plainly],
	[
		'busy',
		origin,
		'HTTPError',
		async url =>
			gatepass.got(url, {retry: {limit: 1, calculateDelay: ({computedValue}) => computedValue && 1}}),
	],
	[
		'hang',
		origin,
		'TimeoutError',
		async url => gatepass.got(url, {timeout: origin === 'http' ? {request: 500} : {response: 500}}),
	],
	['hang', origin, 'AbortError', abortWhileHanging],
]) as [string, (typeof schemes)[number], string, Attempt][];

async function abortWhileHanging(url: string): Promise<unknown> {
	const controller = new AbortController();
	waiting.push(() => controller.abort());
	return gatepass.got(url, {signal: controller.signal});
}

describe.each(strategies)('%s', strategy => {
	test.each(cases)('%s over %s: %s', async (what, origin, name, attempt) => {
		const error = await failureOf(attempt(`${origins[origin]}/${strategy}/${what}`));
		expect(error.name).toBe(name);
		if (strategy !== 'grid-certificate') {
			expect(arrived.join()).toMatch(strategy === 'kerberos-stub' ? ticket : canary);
		}
		expect(findSecrets(error, secrets)).toEqual([]);
	});

	test('a connection that is refused', async () => {
		const error = await failureOf(gatepass.got(`${origins.closed}/${strategy}`));
		expect(error).toMatchObject({name: 'RequestError', code: 'ECONNREFUSED'});
		expect(findSecrets(error, secrets)).toEqual([]);
	});

	test('a server that is not trusted', async () => {
		const error = await failureOf(gatepass.got(`${origins.untrusted}/${strategy}`));
		expect(error).toMatchObject({name: 'CertificateError'});
		expect(error.cause).toMatchObject({name: 'RequestError'});
		expect(findSecrets(error, secrets)).toEqual([]);
	});

	test('a response that is accepted', async () => {
		const response = await gatepass.got(`${origins.https}/${strategy}/nonsense`);
		expect(findSecrets(response, secrets)).toEqual([]);
	});
});

const otherClients = clients.filter(({name}) => name !== 'got');
const untilAborted = (): AbortSignal => {
	const controller = new AbortController();
	waiting.push(() => controller.abort());
	return controller.signal;
};

describe.each(
	otherClients.flatMap(client => strategies.map(strategy => ({client, name: client.name, strategy}))),
)('$name, $strategy', ({client, strategy}) => {
	const send = (
		origin: (typeof schemes)[number],
		what: string,
		options: {signal?: AbortSignal} = {},
	): Promise<Received> => client.send(gatepass, `${origins[origin]}/${strategy}/${what}`, options);
	const checkArrived = (): void => {
		if (strategy === 'grid-certificate') return;
		expect(arrived.join()).toMatch(strategy === 'kerberos-stub' ? ticket : canary);
	};

	test.each(['http', 'https'] as const)('what is given back over %s', async origin => {
		for (const [what, status] of [
			['failure', 500],
			['nonsense', 200],
		] as const) {
			const {response, ...rest} = await send(origin, what);
			expect(rest.status).toBe(status);
			checkArrived();
			// A flow's request is its user's own, and hangs on Node's response.
			if (client.name !== 'flow') expect(findSecrets(response, secrets)).toEqual([]);
		}
	});

	test.each(
		(['http', 'https'] as const).flatMap(origin =>
			['cut-off', 'round', 'broken', 'hang'].map(what => [what, origin] as const),
		),
	)('%s over %s', async (what, origin) => {
		const error = await failureOf(send(origin, what, what === 'hang' ? {signal: untilAborted()} : {}));
		if (what === 'hang') expect(error.name).toBe('AbortError');
		checkArrived();
		expect(findSecrets(error, secrets)).toEqual([]);
	});

	test('a server that is closed, and one that is not trusted', async () => {
		for (const origin of ['closed', 'untrusted'] as const) {
			const error = await failureOf(send(origin, ''));
			expect(findSecrets(error, secrets)).toEqual([]);
			if (origin === 'untrusted' && client.name !== 'flow') {
				expect(error).toMatchObject({name: 'CertificateError', code: 'ERR_GATEPASS_CERTIFICATE'});
			}
		}
		expect(arrived).toEqual([]);
	});
});

describe.each(otherClients.map(client => ({client, name: client.name})))(
	"$name: gatepass's own errors",
	({client}) => {
		test.each(['client_secret_basic', 'client_secret_post'])('TokenRequestError, %s', async method => {
			const error = await failureOf(client.send(gatepass, `${origins.http}/${method}`));
			expect(error).toMatchObject({name: 'TokenRequestError', status: 400, error: 'invalid_request'});
			expect(findSecrets(error, secrets)).toEqual([]);
		});

		test('MutualAuthenticationError', async () => {
			const error = await failureOf(client.send(gatepass, `${origins.http}/proof/nonsense`));
			expect(error).toMatchObject({name: 'MutualAuthenticationError'});
			expect(arrived.join()).toContain(ticket);
			expect(findSecrets(error, secrets)).toEqual([]);
		});
	},
);

test.each(['client_secret_basic', 'client_secret_post'])(
	'TokenRequestError: an endpoint that repeats what it was sent by %s',
	async method => {
		const error = await failureOf(gatepass.got(`${origins.http}/${method}`));
		expect(error).toMatchObject({name: 'TokenRequestError', status: 400, error: 'invalid_request'});
		expect(findSecrets(error, secrets)).toEqual([]);
	},
);

test('MutualAuthenticationError', async () => {
	const error = await failureOf(gatepass.got(`${origins.http}/proof/nonsense`));
	expect(error).toMatchObject({name: 'MutualAuthenticationError'});
	expect(arrived.join()).toContain(ticket);
	expect(findSecrets(error, secrets)).toEqual([]);
});

test('ConfigurationError', async () => {
	const error = await failureOf(
		createGatepass({
			env: {SECRET: secret},
			config: {
				cache: {url: `memory:`},
				hostRules: [
					{
						match: `https://user:${secret}@a.example`,
						strategy: 'sso-client-credentials',
						options: {clientId: 1, clientSecret: secret, realm: `!${secret}`, tokenEndpoint: `no ${secret}`},
					},
					{
						match: 'https://b.example',
						strategy: 'sso-client-credentials',
						options: {clientSecret: '${SECRET}', unknown: '${SECRET}', scope: [secret]},
					},
				],
			},
		}),
	);
	expect(error).toMatchObject({name: 'ConfigurationError'});
	expect(findSecrets(error, secrets)).toEqual([]);
});

test("got's events", async () => {
	const names = ['request:create', 'request:start', 'response:start', 'response:end', 'request:retry'];
	const channels = [...names, 'request:error', 'response:redirect'].map(name => `got:${name}`);
	const published = new Map<string, string[]>();
	const listener = (message: unknown, name: string | symbol): void => {
		const event = String(name);
		published.set(event, [...(published.get(event) ?? []), ...findSecrets(message, secrets)]);
	};
	for (const name of channels) subscribe(name, listener);
	try {
		const retry = {
			limit: 1,
			calculateDelay: ({computedValue}: {computedValue: number}) => computedValue && 1,
		};
		for (const strategy of strategies) {
			for (const origin of ['http', 'https'] as const) {
				const url = `${origins[origin]}/${strategy}`;
				await gatepass.got(`${url}/nonsense`);
				await failureOf(gatepass.got(`${url}/round`));
				await failureOf(gatepass.got(`${url}/busy`, {retry}));
				await failureOf(gatepass.got(`${url}/broken`, {retry}));
				await failureOf(gatepass.got(`${url}/cut-off`, {retry}));
			}
			await failureOf(gatepass.got(`${origins.closed}/${strategy}`, {retry}));
		}
	} finally {
		for (const name of channels) unsubscribe(name, listener);
	}
	expect(channels.map(name => channel(name).hasSubscribers)).toEqual(channels.map(() => false));
	expect(Object.fromEntries(published)).toEqual(Object.fromEntries(channels.map(name => [name, []])));
});
