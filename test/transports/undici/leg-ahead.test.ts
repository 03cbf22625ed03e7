/** A leg that is sent without a conversation, since its strategy has the credential at hand. */
import {channel} from 'node:diagnostics_channel';
import {once} from 'node:events';
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {Readable} from 'node:stream';
import {Agent, type Dispatcher, request} from 'undici';
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import {type AuthRequest, createGatepass, defineStrategy, type Gatepass} from '../../../src/index.ts';
import type {AuthStrategy, CredentialAtHand, StrategyClass} from '../../../src/strategy/index.ts';

let origin: string;
let gatepass: Gatepass;
let close: () => Promise<void>;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
/** What the server was shown. */
let shown: (string | undefined)[];
/** What the conversations did. */
let told: unknown[];
let atHand: () => CredentialAtHand | undefined;
let converse: (request: AuthRequest) => ReturnType<AuthStrategy['authenticate']>;

const header = (value: string): CredentialAtHand => ({header: ['authorization', value]});

/** Another credential after a refusal. */
const showRenewed: typeof converse = async function* (asked) {
	asked.headers.set('authorization', 'at hand');
	told.push((yield).status);
	asked.headers.set('authorization', 'renewed');
	told.push((yield).status);
};

/** A strategy whose verbs each test says. */
function strategy(): StrategyClass {
	const Plain = defineStrategy({
		name: 'ready',
		async *authenticate(asked) {
			yield* converse(asked);
		},
	});
	Object.assign(Plain.prototype, {atHand: () => atHand()});
	return Plain;
}

beforeEach(async () => {
	shown = [];
	told = [];
	answer = (_request, response) => response.end('yes');
	const server = createServer((asked, response) => {
		shown.push(asked.headers.authorization);
		answer(asked, response);
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	atHand = () => header('at hand');
	converse = async function* (asked) {
		asked.headers.set('authorization', 'at hand');
		const {status} = yield;
		told.push(status);
	};
	gatepass = await createGatepass({
		strategies: [strategy()],
		config: {cache: {url: 'memory:'}, hostRules: [{match: origin, strategy: 'ready'}]},
	});
	close = async () => {
		await gatepass.close();
		server.closeAllConnections();
		await new Promise(resolve => server.close(resolve));
	};
});
afterEach(() => close());

const viaGatepass = () => ({dispatcher: gatepass.dispatcher});
const send = (options: object = {}) => request(`${origin}/runs`, {...viaGatepass(), ...options});

const ways = [
	{way: 'undici.request', ask: async () => text(await send())},
	{
		way: 'fetch',
		ask: async () => {
			const response = await gatepass.fetch(`${origin}/runs`);
			const headers = Object.fromEntries(response.headers);
			return {status: response.status, headers, body: await response.text()};
		},
	},
	{
		way: "undici.request over a dispatcher of the caller's",
		ask: async () => text(await send({dispatcher: gatepass.intercept(new Agent())})),
	},
];

async function text({statusCode, headers, body}: Dispatcher.ResponseData) {
	return {status: statusCode, headers: headers as Record<string, unknown>, body: await body.text()};
}

describe.each(ways)('$way', ({ask}) => {
	test('an answer that is no refusal needs no conversation, and is marked as not to be kept', async () => {
		answer = (_request, response) => response.writeHead(200, {'cache-control': 'max-age=60'}).end('yes');
		const {status, headers, body} = await ask();
		expect({status, body}).toEqual({status: 200, body: 'yes'});
		expect(headers['cache-control']).toBe('max-age=60, no-store');
		expect(shown).toEqual(['at hand']);
		expect(told).toEqual([]);
	});

	test('the conversation is given a refusal, and nothing is sent twice', async () => {
		answer = (_request, response) => response.writeHead(401).end('no');
		const {status, headers, body} = await ask();
		expect({status, body}).toEqual({status: 401, body: 'no'});
		expect(headers['cache-control']).toBe('no-store');
		expect(shown).toEqual(['at hand']);
		expect(told).toEqual([401]);
	});

	test('it goes on with another credential', async () => {
		answer = (asked, response) =>
			response.writeHead(asked.headers.authorization === 'renewed' ? 200 : 401).end('answer');
		converse = showRenewed;
		expect(await ask()).toMatchObject({status: 200, body: 'answer'});
		expect(shown).toEqual(['at hand', 'renewed']);
		expect(told).toEqual([401, 200]);
	});

	test('a refusal of what the conversation does not show itself is none of its first leg', async () => {
		answer = (asked, response) =>
			response.writeHead(asked.headers.authorization === 'newer' ? 200 : 401).end('answer');
		converse = async function* (asked) {
			asked.headers.set('authorization', 'newer');
			told.push((yield).status);
		};
		expect(await ask()).toMatchObject({status: 200, body: 'answer'});
		expect(shown).toEqual(['at hand', 'newer']);
		expect(told).toEqual([200]);
	});

	test('a conversation that fails at the refusal fails the request', async () => {
		answer = (_request, response) => response.writeHead(401).end('no');
		converse = async function* (asked) {
			asked.headers.set('authorization', 'at hand');
			yield;
			throw new Error('No other credential');
		};
		const failed = await ask().catch((error: Error & {cause?: Error}) => error.cause ?? error);
		expect(failed).toMatchObject({message: 'No other credential'});
	});
});

test("it takes the place of the caller's own, however it is written", async () => {
	for (const headers of [
		{AUTHORIZATION: 'mine'},
		['Authorization', 'mine'],
		['authorization', 'mine', 'X-Other', 'kept', 'AUTHORIZATION', 'mine too'],
		new Map([['authorization', 'mine']]),
	]) {
		await text(await send({headers}));
	}
	expect(shown).toEqual(['at hand', 'at hand', 'at hand', 'at hand']);
});

test('a body in memory is sent with it, and again', async () => {
	const bodies: string[] = [];
	answer = async (asked, response) => {
		let body = '';
		for await (const chunk of asked) body += chunk;
		bodies.push(body);
		response.writeHead(asked.headers.authorization === 'renewed' ? 200 : 401).end();
	};
	converse = showRenewed;
	const {status} = await text(await send({method: 'POST', body: 'payload'}));
	expect(status).toBe(200);
	expect(bodies).toEqual(['payload', 'payload']);
});

describe('a conversation is held from the beginning', () => {
	test.each([
		{why: 'for a body that is not in memory', options: () => ({method: 'POST', body: Readable.from(['a'])})},
		{why: 'where the token cache is to be passed over', options: () => ({gatepass: {fresh: true}})},
	])('$why', async ({options}) => {
		await text(await send(options()));
		expect(told).toEqual([200]);
	});

	test('where the server takes a connection for its first user', async () => {
		await using bound = await createGatepass({
			strategies: [strategy()],
			config: {
				cache: {url: 'memory:'},
				hostRules: [{match: origin, strategy: 'ready', connectionBound: true}],
			},
		});
		await text(await send({dispatcher: bound.dispatcher}));
		expect(told).toEqual([200]);
	});

	test('where nothing is at hand', async () => {
		atHand = () => undefined;
		await text(await send());
		expect(told).toEqual([200]);
	});
});

describe('those who listen hear the same as of a conversation', () => {
	/** What is told of one request, without what takes its time. */
	async function hear(work: () => Promise<unknown>): Promise<object[]> {
		const heard: object[] = [];
		const listeners = (['gatepass:leg', 'gatepass:request'] as const).map(name => {
			const listen = (event: unknown): void => {
				const {duration, ...payload} = event as {readonly duration: number};
				expect(duration).toBeGreaterThanOrEqual(0);
				heard.push({name, ...payload});
			};
			channel(name).subscribe(listen);
			return () => channel(name).unsubscribe(listen);
		});
		try {
			await work();
		} finally {
			for (const stop of listeners) stop();
		}
		return heard;
	}

	/** With and without something at hand. */
	async function hearBoth(work: () => Promise<unknown>): Promise<object[]> {
		const ahead = await hear(work);
		const before = atHand;
		atHand = () => undefined;
		const conversed = await hear(work);
		atHand = before;
		expect(ahead).toEqual(conversed);
		return ahead;
	}

	const about = () => ({method: 'GET', url: `${origin}/runs`, rule: {match: origin, strategy: 'ready'}});

	test('an answer', async () => {
		const heard = await hearBoth(async () => text(await request(`${origin}/runs?b=%20&a=1`, viaGatepass())));
		expect(heard).toMatchObject([
			{...about(), name: 'gatepass:leg', query: '?b=%20&a=1', resends: 0, status: 200},
			{...about(), name: 'gatepass:request', legs: 1, status: 200},
		]);
		// The second one, with nothing at hand.
		expect(told).toEqual([200]);
	});

	test('a refusal that stays one', async () => {
		answer = (_request, response) => response.writeHead(401).end();
		const heard = await hearBoth(async () => text(await send()));
		expect(heard).toMatchObject([
			{name: 'gatepass:leg', resends: 0, status: 401},
			{name: 'gatepass:request', legs: 1, status: 401},
		]);
	});

	test('a refusal after which another credential is shown', async () => {
		answer = (asked, response) =>
			response.writeHead(asked.headers.authorization === 'renewed' ? 200 : 401).end();
		converse = showRenewed;
		const heard = await hearBoth(async () => text(await send()));
		expect(heard).toMatchObject([
			{name: 'gatepass:leg', resends: 0, status: 401},
			{name: 'gatepass:leg', resends: 1, status: 200},
			{name: 'gatepass:request', legs: 2, status: 200},
		]);
	});

	test('a server that breaks off', async () => {
		answer = asked => asked.socket.destroy();
		const heard = await hearBoth(() => expect(send()).rejects.toThrow());
		expect(heard).toMatchObject([
			{name: 'gatepass:leg', resends: 0, failure: 'UND_ERR_SOCKET'},
			{name: 'gatepass:request', legs: 1},
		]);
		expect(heard[1]).not.toHaveProperty('status');
	});

	test('a caller who breaks off', async () => {
		const heard = await hearBoth(async () => {
			const controller = new AbortController();
			answer = () => controller.abort(new Error('enough'));
			await expect(send({signal: controller.signal})).rejects.toThrow('enough');
		});
		expect(heard).toMatchObject([{name: 'gatepass:leg'}, {name: 'gatepass:request', legs: 1}]);
	});
});

describe('broken off', () => {
	test('before there is a connection', async () => {
		const controller = new AbortController();
		const sent = send({signal: controller.signal});
		controller.abort(new Error('enough'));
		await expect(sent).rejects.toThrow('enough');
		await text(await send());
		expect(shown).toEqual(['at hand']);
	});

	test('while the server thinks', async () => {
		const controller = new AbortController();
		answer = () => controller.abort(new Error('enough'));
		await expect(send({signal: controller.signal})).rejects.toThrow('enough');
	});

	test('while the conversation thinks', async () => {
		const controller = new AbortController();
		answer = (_request, response) => response.writeHead(401).end();
		const ended = vi.fn();
		converse = async function* (asked) {
			try {
				asked.headers.set('authorization', 'at hand');
				yield;
				controller.abort(new Error('enough'));
				yield;
			} finally {
				ended();
			}
		};
		await expect(send({signal: controller.signal})).rejects.toThrow('enough');
		await expect.poll(() => ended).toHaveBeenCalledOnce();
		expect(shown).toEqual(['at hand']);
	});

	test('in the middle of the answer', async () => {
		const controller = new AbortController();
		answer = (_request, response) => void response.writeHead(200).write('beginning');
		const {body} = await send({signal: controller.signal});
		controller.abort(new Error('enough'));
		await expect(body.text()).rejects.toThrow('enough');
	});

	test('by the server', async () => {
		answer = asked => asked.socket.destroy();
		await expect(send()).rejects.toMatchObject({diagnostics: [{code: 'connection-lost'}]});
	});
});

test('a slow reader holds up the server, not the memory', async () => {
	const size = 8 * 1024 * 1024;
	answer = (_request, response) => response.end(Buffer.alloc(size, 'a'));
	const {body} = await send();
	let read = 0;
	for await (const chunk of body) {
		read += (chunk as Buffer).length;
		await new Promise(resolve => setImmediate(resolve));
	}
	expect(read).toBe(size);
});
