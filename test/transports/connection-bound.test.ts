/**
 * A server that takes a whole connection for the user of its first request, as XRootD does: with `connectionBound` no
 * connection carries two credentials.
 */
import {createServer, type Server} from 'node:http';
import type {AddressInfo, Socket} from 'node:net';
import {setImmediate as immediate} from 'node:timers/promises';
import {request} from 'undici';
import {afterAll, beforeAll, describe, expect, onTestFinished, test} from 'vitest';
import {createGatepass, defineStrategy, type Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {mostOwners} from '../../src/tls/isolated-agents.ts';
import {describeWith} from '../servers/availability.ts';
import {startXrootd, type Xrootd, xrootd} from '../servers/xrootd.ts';

let server: Server;
let origin: string;
const open = new Set<Socket>();
const firstUser = new WeakMap<object, string>();

beforeAll(async () => {
	server = createServer(({socket, headers}, response) => {
		const user = firstUser.get(socket) ?? headers.authorization ?? String(headers['x-api-key']);
		firstUser.set(socket, user);
		response.end(user);
	});
	server.keepAliveTimeout = 60_000;
	server.on('connection', socket => {
		open.add(socket);
		socket.once('close', () => open.delete(socket));
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
	for (const socket of open) socket.destroy();
	server.close();
});

/** Shows who the tenant is. */
const TenantStrategy = defineStrategy({
	name: 'tenant',
	async *authenticate({headers, tenant = 'nobody'}) {
		headers.set('x-api-key', tenant);
		yield;
	},
});

async function make(connectionBound?: boolean): Promise<Gatepass> {
	const bound = connectionBound === undefined ? {} : {connectionBound};
	const gatepass = await createGatepass({
		strategies: [TenantStrategy],
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				...['alice', 'bob'].map(token => ({
					match: `${origin}/${token}`,
					strategy: 'static-token',
					options: {token},
					...bound,
				})),
				{match: `${origin}/tenants`, strategy: 'tenant', ...bound},
				{match: `${origin}/unbound`, strategy: 'static-token', options: {token: 'unbound'}},
			],
		},
	});
	onTestFinished(() => gatepass.close());
	return gatepass;
}

type Send = (gatepass: Gatepass, path: string, tenant?: string) => Promise<string>;

const clients: Record<string, Send> = {
	got: (gatepass, path, tenant) =>
		gatepass.got(origin + path, tenant === undefined ? {} : {context: {gatepass: {tenant}}}).text(),
	fetch: async (gatepass, path, tenant) =>
		(await gatepass.fetch(origin + path, tenant === undefined ? {} : {gatepass: {tenant}})).text(),
	'undici.request': async (gatepass, path, tenant) => {
		const setting = tenant === undefined ? {} : {gatepass: {tenant}};
		const options = {dispatcher: gatepass.dispatcher, ...setting};
		return (await request(origin + path, options)).body.text();
	},
};

describe.each(Object.entries(clients))('%s', (_name, send) => {
	const inTurn = async (gatepass: Gatepass, asked: readonly [string, string?][]): Promise<string[]> => {
		const answers: string[] = [];
		for (const [path, tenant] of asked) {
			answers.push(await send(gatepass, path, tenant));
			// undici gives a connection back in the round after its answer.
			for (let round = 0; round < 3; round += 1) await immediate();
		}
		return answers;
	};

	test('two rules for one server', async () => {
		const asked = [['/alice'], ['/bob'], ['/alice']] as [string][];
		// What such a server does to whoever shares connections.
		const one = 'Bearer alice';
		expect(await inTurn(await make(), asked)).toEqual([one, one, one]);
		expect(await inTurn(await make(true), asked)).toEqual([one, 'Bearer bob', one]);
	});

	test('a rule beside one whose connections are for anybody', async () => {
		const asked = [['/unbound'], ['/alice'], ['/unbound'], ['/bob']] as [string][];
		expect(await inTurn(await make(true), asked)).toEqual([
			'Bearer unbound',
			'Bearer alice',
			'Bearer unbound',
			'Bearer bob',
		]);
	});

	test('two tenants of one rule, whose connections are used again', async () => {
		const gatepass = await make(true);
		const before = open.size;
		const asked = ['a', 'b', 'a', 'b', 'b'].map(tenant => ['/tenants', tenant] as [string, string]);
		expect(await inTurn(gatepass, asked)).toEqual(['a', 'b', 'a', 'b', 'b']);
		expect(open.size - before).toBeLessThanOrEqual(2);
	});

	test('connections of credentials that nobody shows any more do not pile up', async () => {
		const gatepass = await make(true);
		const before = open.size;
		const total = mostOwners + 100;
		for (let first = 0; first < total; first += 50) {
			await Promise.all(
				Array.from({length: 50}, (_, index) => send(gatepass, '/tenants', `t${first + index}`)),
			);
		}
		await expect.poll(() => open.size - before).toBeLessThanOrEqual(mostOwners);
	});
});

describeWith(xrootd, 'Debian’s XRootD', () => {
	let authority: TestAuthority;
	let storage: Xrootd;
	const macaroons: Record<string, string> = {};
	beforeAll(async () => {
		authority = await createTestAuthority();
		const alice = await authority.issue('alice', {subject: 'CN=alice'});
		storage = await startXrootd({authority, user: '/CN=alice', files: {one: 'the first', two: 'the second'}});
		await using gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				trust: [{match: storage.url, ca: authority.ca, only: true}],
				hostRules: [
					{
						match: storage.url,
						strategy: 'macaroon',
						options: {activities: ['DOWNLOAD'], of: {strategy: 'grid-certificate', options: {...alice}}},
					},
				],
			},
		});
		const {headers} = await gatepass.authorize(`${storage.url}/data/one`);
		macaroons.one = String(headers.authorization).replace('Bearer ', '');
	});
	afterAll(async () => {
		await storage?.close();
		await authority?.close();
	});

	/** What comes of a request with a macaroon, and of one without after it. */
	async function statuses(bound: {connectionBound?: boolean}): Promise<number[]> {
		await using gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				trust: [{match: storage.url, ca: authority.ca, only: true}],
				hostRules: [
					{
						match: `${storage.url}/data/one`,
						strategy: 'static-token',
						options: {token: macaroons.one},
						...bound,
					},
				],
			},
		});
		const found: number[] = [];
		for (const path of ['/data/one', '/data/two', '/data/one']) {
			const {statusCode} = await gatepass.got(storage.url + path, {throwHttpErrors: false});
			found.push(statusCode);
		}
		return found;
	}

	test('takes a connection for the user of its first token, with any strategy', async () => {
		expect(await statuses({connectionBound: true})).toEqual([200, 403, 200]);
		// Without it, the next request over the connection gets more than it may.
		expect(await statuses({})).toEqual([200, 200, 200]);
	});
});
