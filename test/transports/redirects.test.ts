/**
 * "Each hop on its own", on real sockets: every kind of redirect, for every strategy and client, and what each server
 * saw.
 *
 * The servers write down headers, URL, body and client certificate. Whoever is not meant to see a credential must
 * have seen none of it, and whoever is meant to must have seen the right one.
 */
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import got from 'got';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {z} from 'zod';
import {createGatepass, defineStrategy, type Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {openStubToken} from '../../strategies/kerberos-stub/stub-provider.ts';
import {clients, resolveLocally, type TestClient} from './clients.ts';
import {
	issueForServers,
	lookupLocally,
	type RecordingServer,
	type Sighting,
	startRecordingServer,
} from './recording-servers.ts';

const statuses = [301, 302, 303, 307, 308] as const;
const methods = ['GET', 'POST'] as const;
const strategies = [
	'grid-certificate',
	'sso-client-credentials',
	'command',
	'kerberos-stub',
	'none',
	'header',
] as const;
type StrategyName = (typeof strategies)[number];

/** Whatever is secret holds this word, so that it is found wherever it turns up. */
const canary = 'CANARY';

const HeaderStrategy = defineStrategy({
	name: 'header',
	options: z.object({value: z.string()}),
	async *authenticate(request, {options}) {
		request.headers.set('x-api-key', options.value);
		yield;
	},
});

let authority: TestAuthority;
let gatepass: Gatepass;
let servers: Record<'a' | 'otherPort' | 'b' | 'subdomain' | 'plainA' | 'plainB', RecordingServer>;
let closeTokenServer: () => Promise<void>;
const resolveAsBefore = resolveLocally();

/** Rules are by path, so that one server of each kind does for all strategies; two people's credentials. */
beforeAll(async () => {
	authority = await createTestAuthority();
	const hosts = ['a.localhost', 'b.localhost', 'sub.a.localhost'];
	const [certificate, alice, bob, tokenServer] = await Promise.all([
		issueForServers(authority, hosts),
		authority.issue('alice', {subject: 'CN=alice'}),
		authority.issue('bob', {subject: 'CN=bob'}),
		startTokenIssuer(),
	]);
	closeTokenServer = tokenServer.close;
	const [a, otherPort, b, subdomain, plainA, plainB] = await Promise.all([
		startRecordingServer('a.localhost', certificate),
		startRecordingServer('a.localhost', certificate),
		startRecordingServer('b.localhost', certificate),
		startRecordingServer('sub.a.localhost', certificate),
		startRecordingServer('a.localhost'),
		startRecordingServer('b.localhost'),
	]);
	servers = {a, otherPort, b, subdomain, plainA, plainB};
	const optionsOf = (person: 'alice' | 'bob'): Record<StrategyName, Record<string, unknown>> => ({
		'grid-certificate': {...(person === 'alice' ? alice : bob)},
		'sso-client-credentials': {
			clientId: person,
			clientSecret: `${canary}-secret-of-${person}`,
			tokenEndpoint: tokenServer.endpoint,
		},
		command: {command: ['/bin/echo', `${canary}-printed-for-${person}`]},
		'kerberos-stub': {principal: person},
		none: {},
		header: {value: `${canary}-key-of-${person}`},
	});
	const rulesFor = (origin: string, person: 'alice' | 'bob') =>
		strategies.map(strategy => ({
			match: `${origin}/${strategy}`,
			strategy,
			options: optionsOf(person)[strategy],
		}));
	gatepass = await createGatepass({
		got: got.extend({dnsLookup: lookupLocally, retry: {limit: 0}}),
		strategies: [HeaderStrategy],
		config: {
			cache: {url: 'memory:'},
			trust: [{match: ['https://*.localhost:*'], ca: authority.ca, only: true}],
			hostRules: [
				...rulesFor(a.origin, 'alice'),
				...rulesFor(plainA.origin, 'alice'),
				...rulesFor(b.origin, 'bob'),
			],
		},
	});
});

afterAll(async () => {
	resolveAsBefore();
	await gatepass.close();
	await Promise.all([...Object.values(servers).map(server => server.close()), closeTokenServer()]);
	await authority.close();
});

/** An authorization server whose tokens say whose they are. */
async function startTokenIssuer(): Promise<{endpoint: string; close(): Promise<void>}> {
	const server = createServer((request, response) => {
		const [client] = Buffer.from(request.headers.authorization?.split(' ')[1] ?? '', 'base64')
			.toString()
			.split(':');
		const answer = {access_token: `${canary}-token-of-${client}`, token_type: 'Bearer', expires_in: 3600};
		request.resume().on('end', () => {
			response.writeHead(200, {'content-type': 'application/json'}).end(JSON.stringify(answer));
		});
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	return {
		endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
		async close() {
			const closed = new Promise(resolve => server.close(resolve));
			server.closeAllConnections();
			await closed;
		},
	};
}

let serial = 0;

/** Makes the URLs of one journey, which are told from all others by a number in their path. */
function newJourney() {
	serial += 1;
	const mark = `/journey-${serial}`;
	return {
		/** A page under the rule of `strategy` on a server; under none without `strategy`. */
		page(server: RecordingServer, strategy?: StrategyName, query: Record<string, string> = {}): string {
			const parameters = new URLSearchParams({
				...(strategy === 'kerberos-stub' && {negotiate: ''}),
				...query,
			});
			return `${server.origin}/${strategy ?? 'unruled'}${mark}?${parameters}`;
		},
		sightingsAt: (server: RecordingServer): Sighting[] =>
			server.sightings.filter(({url}) => new URL(url, 'http://server').pathname.endsWith(mark)),
	};
}

/** What a request must have shown, as {@link shownIn} puts it. */
function credentialOf(person: 'alice' | 'bob', strategy: StrategyName, scheme = 'https:'): string[] {
	switch (strategy) {
		case 'grid-certificate':
			return scheme === 'https:' ? [`certificate of ${person}`] : [];
		case 'sso-client-credentials':
			return [`authorization: Bearer ${canary}-token-of-${person}`];
		case 'command':
			return [`authorization: Bearer ${canary}-printed-for-${person}`];
		case 'kerberos-stub':
			return [`ticket of ${person}`];
		case 'none':
			return [];
		case 'header':
			return [`x-api-key: ${canary}-key-of-${person}`];
	}
}

const harmlessHeaders = ['user-agent', 'accept', 'accept-encoding', 'connection', 'host', 'content-type'];
/** What clients say of themselves. */
const ofClients = ['accept-language', 'sec-fetch-mode', 'transfer-encoding'];
const allowedHeaders = new Set([...harmlessHeaders, ...ofClients, 'content-length']);

/** All in a request that is not plain: certificate, tickets, headers out of the common, canaries anywhere. */
function shownIn({certificate, rawHeaders, url, body}: Sighting): string[] {
	const shown = certificate === undefined ? [] : [`certificate of ${certificate}`];
	for (let index = 0; index < rawHeaders.length; index += 2) {
		const name = rawHeaders[index]?.toLowerCase() ?? '';
		const value = rawHeaders[index + 1] ?? '';
		const ticket = /^Negotiate (\S+)$/.exec(value)?.[1];
		if (ticket !== undefined) {
			shown.push(`ticket of ${openStubToken(Buffer.from(ticket, 'base64'))?.principal ?? 'nobody'}`);
		} else if (!allowedHeaders.has(name) || value.includes(canary)) {
			shown.push(`${name}: ${value}`);
		}
	}
	if (url.includes(canary)) shown.push(`URL ${url}`);
	if (body.includes(canary)) shown.push(`body ${body}`);
	return shown;
}

/** What was shown in the request that was not answered with a challenge, the last one. */
const shownLast = (sightings: Sighting[]): string[] | undefined => {
	const last = sightings.at(-1);
	return last === undefined ? undefined : shownIn(last);
};

const cookie = `session=${canary}-cookie`;
const shownCookie = `cookie: ${cookie}`;

type Send = (url: string, method: 'GET' | 'POST', headers?: Record<string, string>) => Promise<string>;

const sender =
	({send}: TestClient): Send =>
	async (url, method, headers = {}) =>
		(await send(gatepass, url, {method, headers, ...(method === 'POST' && {body: 'payload'})})).body;

/** Where a redirect can lead: from which server to which, and how the `Location` is written. */
const journeys: {
	name: string;
	from?: keyof typeof servers;
	to: keyof typeof servers;
	location?: (url: string) => string;
	/** Not by fetch, which refuses user information in a redirect (section 4.4 of its standard, step 7). */
	hasUser?: true;
}[] = [
	{name: 'other port', to: 'otherPort'},
	{name: 'other host', to: 'b'},
	{name: 'subdomain', to: 'subdomain'},
	{name: 'https to http', to: 'plainA'},
	{name: 'https to http on another host', to: 'plainB'},
	{name: 'http to https', from: 'plainA', to: 'otherPort'},
	{name: 'http to http on another host', from: 'plainA', to: 'plainB'},
	{
		name: 'user information',
		to: 'b',
		location: url => url.replace('://', '://user:password@'),
		hasUser: true,
	},
	{
		name: 'the trusted host as user information',
		to: 'b',
		location: url => url.replace('://', `://${new URL(servers.a.origin).host}@`),
		hasUser: true,
	},
	{name: 'without a scheme', to: 'b', location: url => url.replace('https:', '')},
	{name: 'with backslashes', to: 'b', location: url => url.replace('://', ':\\\\')},
];

describe.each(clients.flatMap(client => strategies.map(strategy => ({client, name: client.name, strategy}))))(
	'$name, $strategy',
	({client, strategy}) => {
		const send = sender(client);

		test.each(journeys)(
			'nothing goes along: $name',
			async ({from = 'a', to, location = url => url, hasUser}) => {
				const start = servers[from];
				const target = servers[to];
				for (const status of statuses) {
					for (const method of methods) {
						const cell = `${method} ${status}`;
						const {page, sightingsAt} = newJourney();
						const arrival = location(page(target));
						const departure = page(start, strategy, {status: `${status}`, to: arrival});
						const isRefused = client.name === 'fetch' && hasUser === true;
						const outcome = await send(departure, method, {cookie}).catch(({message}) => message);
						expect(outcome, cell).toBe(isRefused ? 'fetch failed' : 'arrived');
						const {protocol} = new URL(start.origin);
						expect(shownLast(sightingsAt(start))?.toSorted(), `${cell}: the start`).toEqual(
							[shownCookie, ...credentialOf('alice', strategy, protocol)].toSorted(),
						);
						expect(sightingsAt(target).map(shownIn), `${cell}: the target`).toEqual(isRefused ? [] : [[]]);
					}
				}
			},
		);

		test('the same origin gets the credential again, by its rule', async () => {
			for (const status of statuses) {
				for (const method of methods) {
					const cell = `${method} ${status}`;
					const locations: ((url: string) => string)[] = [
						url => url,
						url => url.slice(servers.a.origin.length),
						// fetch follows none with user information.
						...(client.name === 'fetch' ? [] : [(url: string) => url.replace('://', '://user:password@')]),
					];
					for (const location of locations) {
						const {page, sightingsAt} = newJourney();
						const arrival = page(servers.a, strategy);
						await send(page(servers.a, strategy, {status: `${status}`, to: location(arrival)}), method, {
							cookie,
						});
						const arrived = sightingsAt(servers.a).filter(({url}) => !url.includes('to='));
						expect(shownLast(arrived)?.toSorted(), cell).toEqual(
							[shownCookie, ...credentialOf('alice', strategy)].toSorted(),
						);
					}
				}
			}
		});

		test('the same origin without a rule gets nothing', async () => {
			for (const status of statuses) {
				const {page, sightingsAt} = newJourney();
				await send(page(servers.a, strategy, {status: `${status}`, to: page(servers.a)}), 'GET');
				const arrived = sightingsAt(servers.a).filter(({url}) => url.startsWith('/unruled'));
				expect(arrived.map(shownIn), `${status}`).toEqual([[]]);
			}
		});

		test('there and back again: A gets its credential, B nothing, A its credential', async () => {
			for (const status of statuses) {
				for (const method of methods) {
					const cell = `${method} ${status}`;
					const {page, sightingsAt} = newJourney();
					const back = page(servers.a, strategy);
					const there = page(servers.b, undefined, {status: `${status}`, to: back});
					await send(page(servers.a, strategy, {status: `${status}`, to: there}), method, {cookie});
					const [left, returned] = [true, false].map(leaving =>
						sightingsAt(servers.a).filter(({url}) => url.includes('to=') === leaving),
					) as [Sighting[], Sighting[]];
					const credential = credentialOf('alice', strategy);
					expect(shownLast(left)?.toSorted(), `${cell}: A`).toEqual([shownCookie, ...credential].toSorted());
					expect(sightingsAt(servers.b).map(shownIn), `${cell}: B`).toEqual([[]]);
					expect(shownLast(returned), `${cell}: A again`).toEqual(credential);
				}
			}
		});

		test.each(strategies)('a host with a rule for %s gets its own credential', async other => {
			for (const status of statuses) {
				const {page, sightingsAt} = newJourney();
				const back = page(servers.a, strategy);
				const there = page(servers.b, other, {status: `${status}`, to: back});
				await send(page(servers.a, strategy, {status: `${status}`, to: there}), 'POST');
				expect(shownLast(sightingsAt(servers.b)), `${status}: B`).toEqual(credentialOf('bob', other));
				for (const sighting of sightingsAt(servers.b)) {
					expect(shownIn(sighting).join(), `${status}: B`).not.toContain('alice');
				}
				expect(shownLast(sightingsAt(servers.a)), `${status}: A again`).toEqual(
					credentialOf('alice', strategy),
				);
			}
		});
	},
);
