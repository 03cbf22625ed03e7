/**
 * What the caller itself put on a request: cookies, `Authorization`, a client certificate. It stays with its origin,
 * whichever client sends.
 */
import {readFile} from 'node:fs/promises';
import {Agent} from 'node:https';
import got, {type OptionsInit} from 'got';
import {Agent as Dispatcher, interceptors, request} from 'undici';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {z} from 'zod';
import {createGatepass, defineStrategy, type Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {clients, resolveLocally, type Sent, type TestClient} from './clients.ts';
import {
	issueForServers,
	lookupLocally,
	type RecordingServer,
	type Sighting,
	startRecordingServer,
} from './recording-servers.ts';

const statuses = [301, 302, 303, 307, 308] as const;

let authority: TestAuthority;
let gatepass: Gatepass;
let servers: Record<'a' | 'otherPort' | 'b' | 'plainB', RecordingServer>;
let person: {certificate: string; key: string};
const agents: Agent[] = [];
const dispatchers: Dispatcher[] = [];
const resolveAsBefore = resolveLocally();

const HeaderStrategy = defineStrategy({
	name: 'header',
	options: z.object({}),
	async *authenticate(request) {
		request.headers.set('x-api-key', 'key');
		yield;
	},
});

beforeAll(async () => {
	authority = await createTestAuthority();
	const certificate = await issueForServers(authority, ['a.localhost', 'b.localhost']);
	const carol = await authority.issue('carol', {subject: 'CN=carol'});
	person = {
		certificate: await readFile(carol.certificate, 'utf8'),
		key: await readFile(carol.key, 'utf8'),
	};
	const [a, otherPort, b, plainB] = await Promise.all([
		startRecordingServer('a.localhost', certificate),
		startRecordingServer('a.localhost', certificate),
		startRecordingServer('b.localhost', certificate),
		startRecordingServer('b.localhost'),
	]);
	servers = {a, otherPort, b, plainB};
	gatepass = await createGatepass({
		got: got.extend({dnsLookup: lookupLocally, retry: {limit: 0}}),
		strategies: [HeaderStrategy],
		config: {
			cache: {url: 'memory:'},
			trust: [{match: 'https://*.localhost:*', ca: authority.ca, only: true}],
			hostRules: [
				{match: `${a.origin}/ruled`, strategy: 'header'},
				{match: `${b.origin}/ruled`, strategy: 'header'},
				{match: 'https://b.localhost:*/anywhere', strategy: 'header'},
			],
		},
	});
});

afterAll(async () => {
	resolveAsBefore();
	for (const agent of agents) agent.destroy();
	await Promise.all(dispatchers.map(dispatcher => dispatcher.destroy()));
	await gatepass.close();
	await Promise.all(Object.values(servers).map(server => server.close()));
	await authority.close();
});

let serial = 0;

interface Sightings {
	readonly left: Sighting;
	readonly arrived: Sighting;
}

/** Redirects from A to `arrival`, and what both saw of it. */
async function journey(
	arrival: string,
	go: (departure: string) => Promise<unknown>,
	{departure = '/ruled', status = 307}: {departure?: string; status?: number} = {},
): Promise<Sightings> {
	serial += 1;
	const mark = `journey=${serial}`;
	const to = `${arrival}?${mark}`;
	await go(`${servers.a.origin}${departure}?${new URLSearchParams({status: `${status}`, to})}`);
	const seen = (wanted: (url: string) => boolean): Sighting => {
		const sightings = Object.values(servers).flatMap(server =>
			server.sightings.filter(({url}) => wanted(url)),
		);
		expect(sightings).toHaveLength(1);
		return sightings[0] as Sighting;
	};
	const encoded = encodeURIComponent(mark);
	return {left: seen(url => url.endsWith(encoded)), arrived: seen(url => url.endsWith(mark))};
}

/** The same by got. */
const travel = (
	arrival: string,
	options: OptionsInit,
	way?: {departure?: string; status?: number},
): Promise<Sightings> => journey(arrival, url => gatepass.got(url, options), way);

const foreign = ['otherPort', 'b', 'plainB'] as const;

describe.each([
	['with a rule', '/ruled', {}],
	['without a rule', '/unruled', {}],
	['with gatepass off', '/ruled', {gatepass: false}],
] as const)('%s', (_name, path, context) => {
	test.each(foreign)('headers stay behind: %s', async target => {
		for (const status of statuses) {
			const headers = {cookie: 'session=1', authorization: 'Bearer own', 'proxy-authorization': 'Basic own'};
			const {left, arrived} = await travel(
				`${servers[target].origin}${path}`,
				{headers, context},
				{departure: path, status},
			);
			expect(left.headers, `${status}`).toMatchObject(headers);
			for (const name of Object.keys(headers)) expect(arrived.headers, `${status}`).not.toHaveProperty(name);
		}
	});

	test('a certificate in the options stays behind', async () => {
		for (const target of foreign) {
			const {left, arrived} = await travel(
				`${servers[target].origin}${path}`,
				{https: person, context},
				{departure: path},
			);
			expect(left.certificate).toBe('carol');
			expect(arrived.certificate, target).toBeUndefined();
		}
	});

	test('a certificate in an agent stays behind', async () => {
		const {certificate: cert, key} = person;
		const ca = await readFile(authority.ca, 'utf8');
		for (const target of foreign) {
			const agent = new Agent({cert, key, ca, keepAlive: true});
			agents.push(agent);
			const {left, arrived} = await travel(
				`${servers[target].origin}${path}`,
				{agent: {https: agent}, context},
				{departure: path},
			);
			expect(left.certificate).toBe('carol');
			expect(arrived.certificate, target).toBeUndefined();
		}
	});

	test('on the same origin all of it stays', async () => {
		const headers = {cookie: 'session=1', authorization: 'Bearer own'};
		const {arrived} = await travel(
			`${servers.a.origin}${path}/further`,
			{headers, https: person, context},
			{departure: path},
		);
		expect(arrived.headers).toMatchObject(headers);
		expect(arrived.certificate).toBe('carol');
	});
});

describe('what else than a redirect leads to another origin', () => {
	type Ways = Readonly<Record<string, (from: string, to: string, options: OptionsInit) => Promise<unknown>>>;
	const ways: Ways = {
		'a page': (from, to, options) =>
			gatepass.got.paginate.all(from, {
				...options,
				pagination: {
					transform: () => [1],
					paginate: ({response}) => (response.url === from ? {url: new URL(to)} : false),
				},
			}),
		'a retry with other options': (from, to, options) =>
			gatepass.got(from, {
				...options,
				hooks: {
					afterResponse: [(response, retry) => (response.url === from ? retry({url: to}) : response)],
				},
			}),
		'a hook before a redirect': (from, to, options) =>
			gatepass.got(`${from}&status=307&to=/${new URL(from).search}`, {
				...options,
				hooks: {
					beforeRedirect: [
						next => {
							next.url = new URL(to);
						},
					],
				},
			}),
		'a hook before a retry': (from, to, options) =>
			gatepass.got(`${from}&status=503&to=`, {
				...options,
				retry: {limit: 1, calculateDelay: ({computedValue}) => computedValue && 1},
				hooks: {
					beforeRetry: [
						({options: next}) => {
							next.url = new URL(to);
						},
					],
				},
			}),
	};

	test.each(Object.keys(ways).flatMap(way => ['/ruled', '/unruled'].map(path => [way, path] as const)))(
		'%s, %s: the certificate and the headers stay behind',
		async (way, path) => {
			const {certificate: cert, key} = person;
			const agent = new Agent({cert, key});
			agents.push(agent);
			const headers = {cookie: 'session=1', authorization: 'Bearer own'};
			for (const given of [{https: person}, {agent: {https: agent}}]) {
				for (const target of foreign) {
					serial += 1;
					const go = ways[way] as Ways[string];
					const [from, to] = [servers.a, servers[target]].map(
						({origin}) => `${origin}${path}?journey=${serial}`,
					) as [string, string];
					await go(from, to, {...given, headers});
					const first = servers.a.sightings.find(({url}) => url.includes(`journey=${serial}`));
					expect(first).toMatchObject({certificate: 'carol', headers});
					const arrived = servers[target].sightings.at(-1);
					expect(arrived?.url).toContain(`journey=${serial}`);
					expect(arrived?.certificate, target).toBeUndefined();
					expect(arrived?.headers, target).not.toHaveProperty('cookie');
					expect(arrived?.headers, target).not.toHaveProperty('authorization');
				}
			}
		},
	);
});

test('an agent without a certificate goes along', async () => {
	const ca = await readFile(authority.ca, 'utf8');
	const agent = new Agent({ca, keepAlive: true});
	agents.push(agent);
	await using untrusting = await createGatepass({
		got: got.extend({dnsLookup: lookupLocally, retry: {limit: 0}}),
		config: {cache: {url: 'memory:'}, hostRules: []},
	});
	await journey(`${servers.b.origin}/unruled`, url => untrusting.got(url, {agent: {https: agent}}));
	expect(Object.keys(agent.freeSockets).some(name => name.startsWith('b.localhost:'))).toBe(true);
});

test('a rule for https says nothing about http, on any port', async () => {
	const {arrived} = await travel(`${servers.plainB.origin}/anywhere`, {});
	expect(arrived.headers).not.toHaveProperty('x-api-key');
	const secure = await travel(`${servers.b.origin}/anywhere`, {});
	expect(secure.arrived.headers).toHaveProperty('x-api-key', 'key');
});

test("got's cookie jar gives each host its own cookies", async () => {
	const jar = new Map<string, string>();
	const cookieJar = {
		getCookieString: async (url: string) => jar.get(new URL(url).hostname) ?? '',
		setCookie: async (cookie: string, url: string) => jar.set(new URL(url).hostname, cookie),
	};
	await gatepass.got(`${servers.a.origin}/ruled?cookie=of=a`, {cookieJar});
	await gatepass.got(`${servers.b.origin}/ruled?cookie=of=b`, {cookieJar});
	for (const status of statuses) {
		const {left, arrived} = await travel(`${servers.b.origin}/ruled`, {cookieJar}, {status});
		expect(left.headers.cookie).toBe('of=a');
		expect(arrived.headers.cookie).toBe('of=b');
	}
});

test("a strategy's header takes the place of the caller's on its own hop only", async () => {
	const headers = {'x-api-key': "the caller's"};
	const {left, arrived} = await travel(`${servers.a.origin}/unruled`, {headers});
	expect(left.headers['x-api-key']).toBe('key');
	expect(arrived.headers['x-api-key']).toBe("the caller's");
});

describe.each(clients.filter(({name}) => name !== 'got').map(client => ({client, name: client.name})))(
	'by $name',
	({client}) => {
		let others: Gatepass;
		beforeAll(async () => {
			others = await createGatepass({
				strategies: [HeaderStrategy],
				config: {
					cache: {url: 'memory:'},
					trust: [{match: 'https://*.localhost:*', ca: authority.ca, only: true}],
					hostRules: ['a', 'b'].map(name => ({
						match: `https://${name}.localhost:*/ruled`,
						strategy: 'header',
					})),
				},
			});
		});
		afterAll(async () => others.close());

		describe.each<[string, string, Pick<Sent, 'gatepass'>]>([
			['with a rule', '/ruled', {}],
			['without a rule', '/unruled', {}],
			['with gatepass off', '/ruled', {gatepass: false}],
		])('%s', (_name, path, setting) => {
			const headers = {cookie: 'session=1', authorization: 'Bearer own', 'proxy-authorization': 'Basic own'};
			const go = (url: string): ReturnType<TestClient['send']> =>
				client.send(others, url, {headers, ...setting});

			test.each(foreign)('headers stay behind: %s', async target => {
				for (const status of statuses) {
					const {left, arrived} = await journey(`${servers[target].origin}${path}`, go, {
						departure: path,
						status,
					});
					expect(left.headers, `${status}`).toMatchObject(headers);
					for (const name of Object.keys(headers)) {
						expect(arrived.headers, `${status}`).not.toHaveProperty(name);
					}
				}
			});

			test('on the same origin all of it stays', async () => {
				const {left, arrived} = await journey(`${servers.a.origin}${path}/further`, go, {departure: path});
				for (const sighting of [left, arrived]) {
					expect(sighting.headers).toMatchObject(headers);
					const key = path === '/ruled' && setting.gatepass !== false ? 'key' : undefined;
					expect(sighting.headers['x-api-key']).toBe(key);
				}
			});
		});

		test("a strategy's header takes the place of the caller's on its own hop only", async () => {
			const headers = {'x-api-key': "the caller's"};
			const go = (url: string): ReturnType<TestClient['send']> => client.send(others, url, {headers});
			const {left, arrived} = await journey(`${servers.a.origin}/unruled`, go);
			expect(left.headers['x-api-key']).toBe('key');
			expect(arrived.headers['x-api-key']).toBe("the caller's");
		});
	},
);

describe("a certificate in a dispatcher of the caller's", () => {
	let mixed: Gatepass;
	let callers: Dispatcher;
	beforeAll(async () => {
		mixed = await createGatepass({
			strategies: [HeaderStrategy],
			config: {
				cache: {url: 'memory:'},
				trust: [{match: 'https://*.localhost:*', ca: authority.ca, only: true}],
				hostRules: [{match: 'https://*.localhost:*/ruled', strategy: 'header'}],
			},
		});
		const {certificate: cert, key} = person;
		callers = new Dispatcher({connect: {cert, key, ca: await readFile(authority.ca, 'utf8')}});
		dispatchers.push(callers);
	});
	afterAll(async () => mixed.close());

	const ways: Record<string, (url: string) => Promise<unknown>> = {
		fetch: url => mixed.fetch(url, {dispatcher: mixed.intercept(callers)}).then(response => response.text()),
		'fetch over the dispatcher as it is': url =>
			mixed.fetch(url, {dispatcher: callers}).then(response => response.text()),
		'undici.request': async url => {
			const redirect = interceptors.redirect({maxRedirections: 3});
			const {body} = await request(url, {dispatcher: mixed.intercept(callers).compose(redirect)});
			return body.text();
		},
	};

	test.each(Object.keys(ways).flatMap(way => ['/ruled', '/unruled'].map(path => [way, path] as const)))(
		'%s, %s: it stays behind',
		async (way, path) => {
			for (const target of ['otherPort', 'b'] as const) {
				const {left, arrived} = await journey(
					`${servers[target].origin}${path}`,
					ways[way] as (url: string) => Promise<unknown>,
					{departure: path},
				);
				expect(left.certificate).toBe('carol');
				expect(arrived.certificate, target).toBeUndefined();
				const {arrived: further} = await journey(
					`${servers.a.origin}${path}/further`,
					ways[way] as (url: string) => Promise<unknown>,
					{departure: path},
				);
				expect(further.certificate).toBe('carol');
			}
		},
	);

	test.each(['fetch', 'undici.request'])(
		'%s, without any rule or trust store: it stays behind',
		async way => {
			await using bare = await createGatepass({config: {cache: {url: 'memory:'}, hostRules: []}});
			const through = bare.intercept(callers);
			const send = async (url: string): Promise<unknown> => {
				if (way === 'fetch') return (await bare.fetch(url, {dispatcher: through})).text();
				const redirect = interceptors.redirect({maxRedirections: 3});
				return (await request(url, {dispatcher: through.compose(redirect)})).body.text();
			};
			const mark = `/bare-${way}`;
			await send(`${servers.a.origin}${mark}`);
			expect(servers.a.sightings.at(-1)).toMatchObject({url: mark, certificate: 'carol'});
			const target = `${servers.b.origin}${mark}`;
			// What the caller's dispatcher says for TLS, its CA too, is for the server that was asked for.
			await send(`${servers.a.origin}/?status=307&to=${encodeURIComponent(target)}`).catch(() => {});
			expect(servers.a.sightings.at(-1)).toMatchObject({certificate: 'carol'});
			const arrived = servers.b.sightings.filter(({url}) => url === mark);
			expect(arrived.map(({certificate}) => certificate).filter(one => one !== undefined)).toEqual([]);
		},
	);
});

describe('under a trust store, the server is verified against it, and what the caller shows stays', () => {
	let trusting: Gatepass;
	beforeAll(async () => {
		trusting = await createGatepass({
			got: got.extend({dnsLookup: lookupLocally, retry: {limit: 0}}),
			config: {
				cache: {url: 'memory:'},
				trust: [{match: servers.a.origin, ca: authority.ca, only: true}],
				hostRules: [],
			},
		});
	});
	afterAll(async () => trusting.close());

	const lastSighting = (): Sighting | undefined => servers.a.sightings.at(-1);

	test('a certificate in the options', async () => {
		await trusting.got(`${servers.a.origin}/trusted`, {https: person});
		expect(lastSighting()).toMatchObject({url: '/trusted', certificate: 'carol'});
	});

	test('an agent of its own', async () => {
		const agent = new Agent({cert: person.certificate, key: person.key});
		agents.push(agent);
		await trusting.got(`${servers.a.origin}/by-agent`, {agent: {https: agent}});
		expect(lastSighting()).toMatchObject({url: '/by-agent', certificate: 'carol'});
	});
});
