/** Conversations over real connections: how they end, whatever happens, and that nothing is left hanging. */
import {once} from 'node:events';
import {type IncomingMessage, request, type ServerResponse} from 'node:http';
import {createServer, type Socket} from 'node:net';
import got, {type RequestError, type TimeoutError} from 'got';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {z} from 'zod';
import {
	type AuthRequest,
	type Conversation,
	createGatepass,
	defineStrategy,
	type Gatepass,
} from '../../src/index.ts';
import {startServer, type TestServer} from '../../src/testing/server.ts';

/** What the strategy `scripted` does, set by each test. */
let script: (request: AuthRequest) => Conversation;
/** Conversations begun and ended: each must end. */
let begun = 0;
let ended = 0;

const ScriptedStrategy = defineStrategy({
	name: 'scripted',
	options: z.object({}),
	async *authenticate(request) {
		begun += 1;
		try {
			yield* script(request);
		} finally {
			ended += 1;
		}
	},
});

let server: TestServer;
let gatepass: Gatepass;
let answer: (incoming: IncomingMessage, response: ServerResponse) => void;
const unhandled: unknown[] = [];
const note = (reason: unknown): void => void unhandled.push(reason);

beforeAll(async () => {
	process.on('unhandledRejection', note);
	server = await startServer((_request, response, incoming) => answer(incoming, response));
	gatepass = await createGatepass({
		got: got.extend({retry: {limit: 0}}),
		strategies: [ScriptedStrategy],
		config: {cache: {url: 'memory:'}, hostRules: [{match: 'http://127.0.0.1:*', strategy: 'scripted'}]},
	});
});

afterAll(async () => {
	await gatepass.close();
	await server.close();
	process.off('unhandledRejection', note);
});

beforeEach(() => {
	begun = 0;
	ended = 0;
	answer = (_incoming, response) => response.end('accepted');
});

afterEach(async () => {
	await expect.poll(() => ended, {message: 'every conversation ends'}).toBe(begun);
	expect(unhandled).toEqual([]);
});

const failure = async (promise: Promise<unknown>): Promise<RequestError> => {
	const error = await promise.then(
		() => undefined,
		(reason: unknown) => reason,
	);
	expect(error).toBeInstanceOf(Error);
	return error as RequestError;
};

/** Sends with a number until the server answers 200. */
async function* untilAccepted(request: AuthRequest): Conversation {
	for (let leg = 1; ; leg += 1) {
		request.headers.set('x-leg', `${leg}`);
		const response = yield;
		if (response.status === 200) return;
	}
}

/** Refuses until leg `last`. */
const acceptLeg =
	(last: number): typeof answer =>
	({headers}, response) => {
		response.statusCode = Number(headers['x-leg']) < last ? 401 : 200;
		response.end(`leg ${headers['x-leg']}`);
	};

describe('legs', () => {
	test.each([1, 2, 3, 10])('%i of them', async legs => {
		script = untilAccepted;
		answer = acceptLeg(legs);
		expect(await gatepass.got.post(server.url, {body: 'payload'}).text()).toBe(`leg ${legs}`);
		expect(server.requests.slice(-legs).map(({body}) => body)).toEqual(Array(legs).fill('payload'));
	});

	test('more than ten are a StrategyError', async () => {
		script = untilAccepted;
		answer = acceptLeg(11);
		const before = server.requests.length;
		const error = await failure(gatepass.got(server.url));
		expect(error).toMatchObject({name: 'StrategyError', code: 'ERR_GATEPASS_STRATEGY'});
		expect(error.message).toContain('more than 10 times');
		expect(server.requests).toHaveLength(before + 10);
	});

	test('a strategy that never yields is done', async () => {
		script = async function* (request) {
			request.headers.set('x-leg', '1');
			if (request.method !== 'GET') yield;
		};
		answer = acceptLeg(1);
		expect(await gatepass.got(server.url).text()).toBe('leg 1');
	});

	test('a header that is deleted, of the caller and of an earlier leg', async () => {
		script = async function* (request) {
			request.headers.delete('X-Own');
			request.headers.set('x-first', '1');
			yield;
			request.headers.delete('x-first');
			yield;
		};
		await gatepass.got(server.url, {headers: {'x-own': 'own'}});
		const [first, second] = server.requests.slice(-2).map(({headers}) => headers);
		expect(first).toHaveProperty('x-first', '1');
		expect(first).not.toHaveProperty('x-own');
		expect(second).not.toHaveProperty('x-first');
		expect(second).not.toHaveProperty('x-own');
	});
});

describe('a strategy that fails', () => {
	test.each(['before', 'after'])('%s the first yield', async when => {
		script = async function* () {
			if (when === 'before') throw new Error('no ticket');
			yield;
			throw new Error('no ticket');
		};
		const error = await failure(gatepass.got(server.url));
		expect(error.message).toBe('no ticket');
		expect(
			await gatepass.got
				.stream(server.url)
				.toArray()
				.catch(({message}) => message),
		).toBe('no ticket');
	});

	test.each(['first', 'second'])('changes the origin for the %s leg', async leg => {
		const other = await startServer((_request, response) => void response.end());
		script = async function* (request) {
			if (leg === 'second') yield;
			request.headers.set('authorization', 'secret');
			request.url.host = new URL(other.url).host;
			yield;
		};
		const error = await failure(gatepass.got(server.url));
		expect(error).toMatchObject({name: 'StrategyError', code: 'ERR_GATEPASS_STRATEGY'});
		expect(error.message).toContain("'scripted'");
		expect(other.requests).toEqual([]);
		await other.close();
	});

	test('changes the path', async () => {
		script = async function* (request) {
			request.url.pathname = '/elsewhere';
			yield;
		};
		expect(await failure(gatepass.got(server.url))).toMatchObject({name: 'StrategyError'});
	});

	test('sets a header that cannot be sent', async () => {
		script = async function* (request) {
			request.headers.set('x-leg', 'secret\nline');
			yield;
		};
		const error = await failure(gatepass.got(server.url));
		expect(error.message).toContain('x-leg');
		expect(error.message).not.toContain('secret');
	});
});

test('a query parameter is sent, and seen by the server only', async () => {
	script = async function* (request) {
		request.url.searchParams.set('key', 'secret');
		yield;
	};
	const url = `${server.url}/page?own=1`;
	const response = await gatepass.got(url);
	expect(server.requests.at(-1)?.url).toBe('/page?own=1&key=secret');
	expect(response.url).toBe(url);
	expect(JSON.stringify(response.request.options.url)).not.toContain('secret');
	answer = (_incoming, answered) => answered.writeHead(500).end();
	const error = await failure(gatepass.got(url));
	expect(error.message).toContain('/page?own=1');
	expect(error.message).not.toContain('secret');
	// A redirect by a relative path starts from the URL without it.
	answer = ({url: seen = ''}, answered) => {
		if (seen.includes('own')) answered.writeHead(302, {location: '?other=1'}).end();
		else answered.end(seen);
	};
	expect(await gatepass.got(url).text()).toBe('/page?other=1&key=secret');
});

/** Answers the first leg with 401 and leaves the second one hanging; resolves once it has come. */
function hangAtLeg(leg: number): Promise<IncomingMessage> {
	return new Promise(resolve => {
		answer = (incoming, response) => {
			if (incoming.headers['x-leg'] === `${leg}`) resolve(incoming);
			else response.writeHead(401).end('refused');
		};
	});
}

describe.each([1, 2])('while leg %i hangs', leg => {
	beforeEach(() => {
		script = untilAccepted;
	});

	test.each([
		['request', {request: 300}],
		['response', {response: 300}],
		['socket', {socket: 300}],
	])('timeout.%s', async (event, timeout) => {
		const hanging = hangAtLeg(leg);
		const error = (await failure(gatepass.got(server.url, {timeout}))) as TimeoutError;
		expect(error).toMatchObject({name: 'TimeoutError', event, code: 'ETIMEDOUT'});
		const {socket} = await hanging;
		if (!socket.destroyed) await once(socket, 'close');
	});

	test.each(['promise', 'stream'])('an abort of a %s', async kind => {
		const controller = new AbortController();
		const options = {signal: controller.signal};
		const hanging = hangAtLeg(leg);
		const result = failure(
			kind === 'promise'
				? gatepass.got(server.url, options)
				: gatepass.got.stream(server.url, options).toArray(),
		);
		const {socket} = await hanging;
		const closed = socket.destroyed ? undefined : once(socket, 'close');
		controller.abort();
		expect((await result).name).toBe('AbortError');
		await closed;
	});

	test('a stream that is destroyed', async () => {
		const hanging = hangAtLeg(leg);
		const stream = gatepass.got.stream(server.url);
		stream.resume();
		const {socket} = await hanging;
		const closed = socket.destroyed ? undefined : once(socket, 'close');
		stream.destroy();
		await closed;
	});

	test('a server that closes the connection', async () => {
		const hanging = hangAtLeg(leg);
		const result = failure(gatepass.got(server.url));
		(await hanging).socket.destroy();
		expect((await result).code).toBe('ECONNRESET');
	});
});

describe('while the strategy is still busy', () => {
	/** A strategy that waits before the first leg, or after it, until it is let go on. */
	function wait(when: 'before' | 'after'): {waiting: Promise<void>; goOn: () => void} {
		const waiting = Promise.withResolvers<void>();
		const released = Promise.withResolvers<void>();
		const pause = async (): Promise<void> => {
			waiting.resolve();
			await released.promise;
		};
		script = async function* (request) {
			if (when === 'before') await pause();
			request.headers.set('x-leg', '1');
			yield;
			if (when === 'after') await pause();
			request.headers.set('x-leg', '2');
			yield;
		};
		return {waiting: waiting.promise, goOn: () => released.resolve()};
	}

	test.each(['before', 'after'] as const)('an abort %s the first leg: nothing more is sent', async when => {
		const controller = new AbortController();
		const {waiting, goOn} = wait(when);
		let sent = 0;
		const result = failure(
			gatepass.got(server.url, {
				signal: controller.signal,
				request(url, options, callback) {
					sent += 1;
					return request(url, options, callback);
				},
			}),
		);
		await waiting;
		controller.abort();
		expect((await result).name).toBe('AbortError');
		goOn();
		await expect.poll(() => ended).toBe(1);
		expect(sent).toBe(when === 'after' ? 1 : 0);
	});

	test.each(['before', 'after'] as const)('a timeout %s the first leg', async when => {
		const {waiting, goOn} = wait(when);
		const before = server.requests.length;
		const result = failure(gatepass.got(server.url, {timeout: {request: 200}}));
		await waiting;
		expect(await result).toMatchObject({name: 'TimeoutError', event: 'request'});
		goOn();
		await expect.poll(() => ended).toBe(1);
		expect(server.requests).toHaveLength(before + (when === 'after' ? 1 : 0));
	});

	test('a response that is cut off meanwhile', async () => {
		const {waiting, goOn} = wait('after');
		let socket: Socket | undefined;
		answer = (incoming, response) => {
			({socket} = incoming);
			response.writeHead(401, {'content-length': '1000'}).write('the beginning');
		};
		// Once the body is used up, the response in hand is the one that counts.
		const upload = async function* () {
			yield 'payload';
		};
		const result = failure(gatepass.got.post(server.url, {body: upload()}));
		await waiting;
		socket?.destroy();
		await once(socket as Socket, 'close');
		// The client hears of it through the system, and so before it has the answer to another request.
		answer = (_incoming, response) => response.end();
		await gatepass.got(server.url, {context: {gatepass: false}});
		goOn();
		expect((await result).code).toBe('ECONNRESET');
	});
});

describe('answers that come early', () => {
	test('a challenge before a large body is sent', async () => {
		script = untilAccepted;
		const body = 'x'.repeat(2 * 1024 * 1024);
		const own = await startEarlyServer();
		try {
			expect(await gatepass.got.post(own.url, {body}).text()).toBe(`${body.length} bytes`);
			expect(own.legs).toEqual(['1', '2']);
		} finally {
			await own.close();
		}
	});

	test('a challenge and a broken upload, and then a broken connection', async () => {
		script = untilAccepted;
		const own = await startEarlyServer({breaks: true});
		try {
			const error = await failure(gatepass.got.post(own.url, {body: 'x'.repeat(2 * 1024 * 1024)}));
			expect(['ECONNRESET', 'EPIPE']).toContain(error.code);
		} finally {
			await own.close();
		}
	});

	test('a challenge with nonsense behind it', async () => {
		script = untilAccepted;
		const own = await startEarlyServer({behind: 'nonsense'});
		try {
			expect(await gatepass.got.post(own.url, {body: 'payload'}).text()).toBe('7 bytes');
		} finally {
			await own.close();
		}
	});

	test('an endless challenge does not stay', async () => {
		script = untilAccepted;
		const endless: Socket[] = [];
		answer = (incoming, response) => {
			if (incoming.headers['x-leg'] === '3') {
				response.end('accepted');
				return;
			}
			endless.push(incoming.socket);
			response.writeHead(401);
			const more = (): void => {
				if (!response.destroyed) response.write('x'.repeat(1024), () => setImmediate(more));
			};
			more();
		};
		expect(await gatepass.got(server.url).text()).toBe('accepted');
		expect(endless).toHaveLength(2);
		for (const socket of endless) if (!socket.destroyed) await once(socket, 'close');
	});
});

/** Answers the first leg as soon as it sees its head, and closes the connection while the body is still coming. */
async function startEarlyServer({breaks = false, behind = ''} = {}): Promise<{
	url: string;
	legs: string[];
	close(): Promise<void>;
}> {
	const legs: string[] = [];
	const sockets = new Set<Socket>();
	const own = createServer(socket => {
		sockets.add(socket);
		socket.on('error', () => {});
		let received = '';
		let answered = false;
		socket.on('data', chunk => {
			received += chunk;
			const end = received.indexOf('\r\n\r\n');
			if (end === -1 || answered) return;
			const leg = /x-leg: (\d+)/i.exec(received)?.[1] ?? '';
			const length = Number(/content-length: (\d+)/i.exec(received)?.[1]);
			if (leg === '1') {
				answered = true;
				legs.push(leg);
				socket.write(
					`HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\nConnection: close\r\n\r\nrefused${behind}`,
				);
				if (!breaks) socket.end();
				else setImmediate(() => socket.resetAndDestroy());
			} else if (breaks) {
				socket.resetAndDestroy();
			} else if (received.length - end - 4 >= length) {
				answered = true;
				legs.push(leg);
				const text = `${length} bytes`;
				socket.end(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\nConnection: close\r\n\r\n${text}`);
			}
		});
	});
	own.listen(0, '127.0.0.1');
	await once(own, 'listening');
	const {port} = own.address() as {port: number};
	return {
		url: `http://127.0.0.1:${port}`,
		legs,
		async close() {
			for (const socket of sockets) socket.destroy();
			own.close();
			await once(own, 'close');
		},
	};
}
