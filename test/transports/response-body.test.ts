/** A strategy that needs the body of a response has its bytes, and the caller has the response whole all the same. */
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {gzipSync} from 'node:zlib';
import got from 'got';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {z} from 'zod';
import {mostResponseBytes} from '../../src/hop/response-body.ts';
import {createGatepass, defineStrategy, type FlowLeg, type Gatepass} from '../../src/index.ts';
import {clients, type TestClient} from './clients.ts';

/** What the strategies have seen. */
const seen: (string | number | undefined)[] = [];
const note = (body: Uint8Array | undefined): void =>
	void seen.push(body && body.byteLength > 1000 ? body.byteLength : body && Buffer.from(body).toString());

/** Some services say in the body of a 200 that a session is over. */
const sessions = defineStrategy({
	name: 'sessions',
	options: z.object({withholds: z.boolean().default(false)}),
	requiresResponseBody: true,
	async *authenticate(request, {options}) {
		for (let leg = 1; ; leg += 1) {
			request.headers.set('x-leg', `${leg}`);
			const response = yield;
			note(response.body);
			if (options.withholds) response.withhold(['date']);
			if (!Buffer.from(response.body ?? []).includes('session over') || leg === 3) return;
		}
	},
});

/** Does not ask for it. */
const incurious = defineStrategy({
	name: 'incurious',
	options: z.object({}),
	async *authenticate() {
		note((yield).body);
	},
});

/** Answers by the path of a request. */
let server: Server;
let url: string;
let gatepass: Gatepass;
const large = Buffer.alloc(3 * mostResponseBytes, 'abcdefgh');
const atLimit = Buffer.alloc(mostResponseBytes, 'x');

beforeAll(async () => {
	server = createServer((request, response) => {
		const {pathname} = new URL(request.url ?? '/', 'http://localhost');
		const isFirst = request.headers['x-leg'] === '1';
		const kind = pathname.split('/').at(-1);
		if (kind === 'twice') response.end(isFirst ? '{"error": "session over"}' : 'the content');
		else if (kind === 'packed') {
			response.setHeader('content-encoding', 'gzip');
			response.end(gzipSync(isFirst ? 'session over' : 'the content'));
		} else if (kind === 'bomb') {
			response.setHeader('content-encoding', 'gzip');
			response.end(gzipSync(large));
		} else if (kind === 'parts') {
			response.write('the ');
			setImmediate(() => response.end('content'));
		} else if (kind === 'large') response.end(large);
		else if (kind === 'limit') response.end(atLimit);
		else if (kind === 'nothing') response.writeHead(204).end();
		else if (kind === 'broken') {
			response.writeHead(200, {'content-length': 1000});
			response.write('only this', () => response.destroy());
		} else response.end();
	});
	await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
	url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	gatepass = await createGatepass({
		got: got.extend({retry: {limit: 0}}),
		strategies: [sessions, incurious],
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				{match: url, strategy: 'sessions'},
				{match: `${url}/withheld`, strategy: 'sessions', options: {withholds: true}},
				{match: `${url}/incurious`, strategy: 'incurious'},
				{match: `${url}/chain`, strategy: 'chain', options: {of: [{strategy: 'sessions'}]}},
			],
		},
	});
});
beforeEach(() => {
	seen.length = 0;
});
afterAll(async () => {
	await gatepass.close();
	server.closeAllConnections();
	await new Promise(done => server.close(done));
});

/** A user of `flow` with a client whose answers are those of fetch. */
const flowOverFetch: Pick<TestClient, 'name' | 'send'> = {
	name: 'flow',
	async send(gatepass, url) {
		await using flow = await gatepass.flow(url);
		let leg: FlowLeg | undefined = flow;
		for (;;) {
			const response = await fetch(leg.url, {headers: leg.headers});
			leg = await flow.next(response);
			if (leg !== undefined) await response.body?.cancel();
			else if (flow.withheld !== undefined) return {status: response.status, body: '', response};
			else return {status: response.status, body: await response.text(), response};
		}
	},
};
const senders = [...clients.filter(({name}) => name !== 'flow'), flowOverFetch];

describe.each(senders.map(client => ({client, name: client.name})))('over $name', ({client}) => {
	const send = (path: string) => client.send(gatepass, url + path);

	test.each(['/twice', '/chain/twice'])(
		'what the body says decides, and the last one is the caller’s: %s',
		async path => {
			const {status, body} = await send(path);
			expect([status, body]).toEqual([200, 'the content']);
			expect(seen).toEqual(['{"error": "session over"}', 'the content']);
		},
	);

	test('a packed one is unpacked for the strategy, and for the caller as ever', async () => {
		const {body} = await send('/packed');
		// undici's own request leaves that to its user.
		if (client.name !== 'undici.request') expect(body).toBe('the content');
		expect(seen).toEqual(['session over', 'the content']);
	});

	test('one in parts', async () => {
		expect((await send('/parts')).body).toBe('the content');
		expect(seen).toEqual(['the content']);
	});

	test.each(['/', '/nothing'])('an empty one: %s', async path => {
		expect((await send(path)).body).toBe('');
		expect(seen).toEqual(['']);
	});

	test('the largest that is read', async () => {
		expect((await send('/limit')).body).toBe(atLimit.toString());
		expect(seen).toEqual([mostResponseBytes]);
	});

	test('a larger one is not seen by the strategy, and the caller has all of it', async () => {
		const {body} = await send('/large');
		expect(body.length).toBe(large.byteLength);
		expect(body === large.toString()).toBe(true);
		expect(seen).toEqual([undefined]);
	});

	test('nor one that unfolds to more', async () => {
		const {body} = await send('/bomb');
		if (client.name !== 'undici.request') expect(body.length).toBe(large.byteLength);
		expect(seen).toEqual([undefined]);
	});

	test('one that breaks off fails for the caller', async () => {
		await expect(send('/broken')).rejects.toThrow();
		expect(seen).toEqual([undefined]);
	});

	test('one that is withheld after it was read stays so', async () => {
		expect((await send('/withheld/parts')).body).toBe('');
		expect(seen).toEqual(['the content']);
	});

	test('a strategy that does not ask has none', async () => {
		expect((await send('/incurious/parts')).body).toBe('the content');
		expect(seen).toEqual([undefined]);
	});
});

test('over flow, bytes and text that its user gives', async () => {
	for (const body of ['session over', Buffer.from('session over')]) {
		await using flow = await gatepass.flow(url);
		expect(await flow.next({status: 200, headers: {}, body})).toBeDefined();
		expect(await flow.next({status: 200, headers: {}})).toBeUndefined();
	}
	expect(seen).toEqual(['session over', undefined, 'session over', undefined]);
});

describe('over a tunnel', () => {
	let proxy: Server;
	const asked: (string | undefined)[] = [];

	/** Shows the proxy what its refusal said. */
	const viaProxy = defineStrategy({
		name: 'via-proxy',
		options: z.object({proxy: z.string()}),
		async *authenticate(request, {options}) {
			request.proxy = {
				url: new URL(options.proxy),
				timeout: 60_000,
				requiresResponseBody: true,
				async *authenticate(connect) {
					const refused = yield;
					note(refused.body);
					connect.headers.set('x-said', Buffer.from(refused.body ?? []).toString());
					yield;
				},
			};
			yield;
		},
	});

	beforeAll(async () => {
		proxy = createServer();
		proxy.on('connect', (request, socket) => {
			asked.push(request.headers['x-said'] as string | undefined);
			socket.on('error', () => {});
			socket.write('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 7\r\n\r\nsay');
			setImmediate(() => socket.end(' abc'));
		});
		await new Promise<void>(done => proxy.listen(0, '127.0.0.1', done));
	});
	afterEach(() => {
		asked.length = 0;
	});
	afterAll(() => new Promise(done => proxy.close(done)));

	test('the strategy has the body of a refusal', async () => {
		await using own = await createGatepass({
			got: got.extend({retry: {limit: 0}}),
			strategies: [viaProxy],
			config: {
				cache: {url: 'memory:'},
				hostRules: [
					{
						match: 'https://localhost',
						strategy: 'via-proxy',
						options: {proxy: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`},
					},
				],
			},
		});
		await expect(own.got('https://localhost/')).rejects.toThrow('it answered 407');
		expect(seen[0]).toBe('say abc');
		expect(asked).toEqual([undefined, 'say abc']);
	});
});
