/** Whatever comes between, a conversation ends: timeouts, aborts, connections that break, answers that come early. */
import {once} from 'node:events';
import {request as httpRequest, type IncomingMessage} from 'node:http';
import {createServer, type Socket} from 'node:net';
import type {TimeoutError} from 'got';
import {beforeEach, describe, expect, onTestFinished, test, vi} from 'vitest';
import {failure, setUpStage, untilAccepted} from './scripted-stage.ts';

const stage = setUpStage();

/** Answers the first leg with 401 and leaves the second one hanging; resolves once it has come. */
function hangAtLeg(leg: number): Promise<IncomingMessage> {
	return new Promise(resolve => {
		stage.answer = (incoming, response) => {
			if (incoming.headers['x-leg'] === `${leg}`) resolve(incoming);
			else response.writeHead(401).end('refused');
		};
	});
}

describe.each([1, 2])('while leg %i hangs', leg => {
	beforeEach(() => {
		stage.script = untilAccepted;
	});

	test.each([
		['request', {request: 600}],
		['response', {response: 600}],
		['socket', {socket: 600}],
	])('timeout.%s', async (event, timeout) => {
		const hanging = hangAtLeg(leg);
		const error = (await failure(stage.gatepass.got(stage.server.url, {timeout}))) as TimeoutError;
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
				? stage.gatepass.got(stage.server.url, options)
				: stage.gatepass.got.stream(stage.server.url, options).toArray(),
		);
		const {socket} = await hanging;
		const closed = socket.destroyed ? undefined : once(socket, 'close');
		controller.abort();
		expect((await result).name).toBe('AbortError');
		await closed;
	});

	test('a stream that is destroyed', async () => {
		const hanging = hangAtLeg(leg);
		const stream = stage.gatepass.got.stream(stage.server.url);
		stream.resume();
		const {socket} = await hanging;
		const closed = socket.destroyed ? undefined : once(socket, 'close');
		stream.destroy();
		await closed;
	});

	test('a server that closes the connection', async () => {
		const hanging = hangAtLeg(leg);
		const result = failure(stage.gatepass.got(stage.server.url));
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
		stage.script = async function* (request) {
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
			stage.gatepass.got(stage.server.url, {
				signal: controller.signal,
				request(url, options, callback) {
					sent += 1;
					return httpRequest(url, options, callback);
				},
			}),
		);
		await waiting;
		controller.abort();
		expect((await result).name).toBe('AbortError');
		goOn();
		await expect.poll(() => stage.ended).toBe(1);
		expect(sent).toBe(when === 'after' ? 1 : 0);
	});

	test.each(['before', 'after'] as const)('a timeout %s the first leg', async when => {
		const {waiting, goOn} = wait(when);
		const before = stage.server.requests.length;
		vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']});
		onTestFinished(() => void vi.useRealTimers());
		const result = failure(stage.gatepass.got(stage.server.url, {timeout: {request: 600}}));
		await waiting;
		await vi.advanceTimersByTimeAsync(600);
		expect(await result).toMatchObject({name: 'TimeoutError', event: 'request'});
		goOn();
		await expect.poll(() => stage.ended).toBe(1);
		expect(stage.server.requests).toHaveLength(before + (when === 'after' ? 1 : 0));
	});

	test('a response that is cut off meanwhile', async () => {
		const {waiting, goOn} = wait('after');
		let socket: Socket | undefined;
		stage.answer = (incoming, response) => {
			({socket} = incoming);
			response.writeHead(401, {'content-length': '1000'}).write('the beginning');
		};
		// Once the body is used up, the response in hand is the one that counts.
		const upload = async function* () {
			yield 'payload';
		};
		const result = failure(stage.gatepass.got.post(stage.server.url, {body: upload()}));
		await waiting;
		socket?.destroy();
		await once(socket as Socket, 'close');
		// The client hears of it through the system, and so before it has the answer to another request.
		stage.answer = (_incoming, response) => response.end();
		await stage.gatepass.got(stage.server.url, {context: {gatepass: false}});
		goOn();
		expect((await result).code).toBe('ECONNRESET');
	});
});

describe('answers that come early', () => {
	test('a challenge before a large body is sent', async () => {
		stage.script = untilAccepted;
		const body = 'x'.repeat(2 * 1024 * 1024);
		const own = await startEarlyServer();
		try {
			expect(await stage.gatepass.got.post(own.url, {body}).text()).toBe(`${body.length} bytes`);
			expect(own.legs).toEqual(['1', '2']);
		} finally {
			await own.close();
		}
	});

	test('a challenge and a broken upload, and then a broken connection', async () => {
		stage.script = untilAccepted;
		const own = await startEarlyServer({breaks: true});
		try {
			const error = await failure(stage.gatepass.got.post(own.url, {body: 'x'.repeat(2 * 1024 * 1024)}));
			expect(['ECONNRESET', 'EPIPE']).toContain(error.code);
		} finally {
			await own.close();
		}
	});

	test('a challenge with nonsense behind it', async () => {
		stage.script = untilAccepted;
		const own = await startEarlyServer({behind: 'nonsense'});
		try {
			expect(await stage.gatepass.got.post(own.url, {body: 'payload'}).text()).toBe('7 bytes');
		} finally {
			await own.close();
		}
	});

	test('an endless challenge does not stay', async () => {
		stage.script = untilAccepted;
		const endless: Socket[] = [];
		stage.answer = (incoming, response) => {
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
		expect(await stage.gatepass.got(stage.server.url).text()).toBe('accepted');
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
