/** What the caller itself put on a request: cookies, `Authorization`, a client certificate. It stays with its origin. */
import {readFile} from 'node:fs/promises';
import {Agent} from 'node:https';
import got, {type OptionsInit} from 'got';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {z} from 'zod';
import {createGatepass, defineStrategy, type Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
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
	const certificateAuthority = await readFile(authority.ca, 'utf8');
	gatepass = await createGatepass({
		// Without a trust store, so that what the caller gives for TLS is what counts.
		got: got.extend({dnsLookup: lookupLocally, retry: {limit: 0}, https: {certificateAuthority}}),
		strategies: [HeaderStrategy],
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				{match: `${a.origin}/ruled`, strategy: 'header'},
				{match: `${b.origin}/ruled`, strategy: 'header'},
				{match: 'https://b.localhost:*/anywhere', strategy: 'header'},
			],
		},
	});
});

afterAll(async () => {
	for (const agent of agents) agent.destroy();
	await gatepass.close();
	await Promise.all(Object.values(servers).map(server => server.close()));
	await authority.close();
});

let serial = 0;

/** Redirects from A to `arrival`, and what both saw of it. */
async function travel(
	arrival: string,
	options: OptionsInit,
	{departure = '/ruled', status = 307}: {departure?: string; status?: number} = {},
): Promise<{left: Sighting; arrived: Sighting}> {
	serial += 1;
	const mark = `journey=${serial}`;
	const to = `${arrival}?${mark}`;
	await gatepass.got(
		`${servers.a.origin}${departure}?${new URLSearchParams({status: `${status}`, to})}`,
		options,
	);
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

test('an agent without a certificate goes along', async () => {
	const ca = await readFile(authority.ca, 'utf8');
	const agent = new Agent({ca, keepAlive: true});
	agents.push(agent);
	await travel(`${servers.b.origin}/unruled`, {
		agent: {https: agent},
		https: {certificateAuthority: undefined},
	});
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
