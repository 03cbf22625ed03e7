/** Whatever comes between, a conversation over undici ends: aborts, timeouts, connections that break. */
import {once} from 'node:events';
import type {IncomingMessage} from 'node:http';
import type {Socket} from 'node:net';
import {interceptors, request} from 'undici';
import {request as request7} from 'undici7';
import {beforeEach, describe, expect, onTestFinished, test, vi} from 'vitest';
import {failure, setUpStage, untilAccepted} from '../scripted-stage.ts';

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

interface Options {
	readonly signal?: AbortSignal;
	readonly headersTimeout?: number;
}
const senders: Record<string, (options?: Options) => Promise<unknown>> = {
	fetch: async ({signal} = {}) =>
		(await stage.gatepass.fetch(stage.server.url, signal === undefined ? {} : {signal})).text(),
	'undici 8': async options =>
		(await request(stage.server.url, {dispatcher: stage.gatepass.dispatcher, ...options})).body.text(),
	'undici 7': async options =>
		(
			await request7(stage.server.url, {dispatcher: stage.gatepass.dispatcher as never, ...options})
		).body.text(),
};

const reasonOf = async (promise: Promise<unknown>): Promise<NodeJS.ErrnoException> => {
	const error = await failure(promise);
	return (error.message === 'fetch failed' ? error.cause : error) as NodeJS.ErrnoException;
};

describe.each(Object.entries(senders))('%s', (name, send) => {
	describe.each([1, 2])('while leg %i hangs', leg => {
		beforeEach(() => {
			stage.script = untilAccepted;
		});

		test('an abort', async () => {
			const controller = new AbortController();
			const hanging = hangAtLeg(leg);
			const result = failure(send({signal: controller.signal}));
			const {socket} = await hanging;
			const closed = socket.destroyed ? undefined : once(socket, 'close');
			controller.abort();
			expect((await result).name).toBe('AbortError');
			await closed;
		});

		test.skipIf(name === 'fetch')('a timeout for the headers', async () => {
			const hanging = hangAtLeg(leg);
			vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']});
			onTestFinished(() => void vi.useRealTimers());
			const error = reasonOf(send({headersTimeout: 200}));
			const {socket} = await hanging;
			await vi.advanceTimersByTimeAsync(200);
			expect(await error).toMatchObject({name: 'HeadersTimeoutError', code: 'UND_ERR_HEADERS_TIMEOUT'});
			if (!socket.destroyed) await once(socket, 'close');
		});

		test('a server that closes the connection', async () => {
			const hanging = hangAtLeg(leg);
			const result = reasonOf(send());
			(await hanging).socket.destroy();
			expect(['UND_ERR_SOCKET', 'ECONNRESET']).toContain((await result).code);
		});
	});

	describe('while the strategy is still busy', () => {
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

		test.each(['before', 'after'] as const)(
			'an abort %s the first leg: at once, and nothing more is sent',
			async when => {
				const controller = new AbortController();
				const {waiting, goOn} = wait(when);
				const before = stage.server.requests.length;
				const result = failure(send({signal: controller.signal}));
				await waiting;
				controller.abort();
				expect((await result).name).toBe('AbortError');
				goOn();
				await expect.poll(() => stage.ended).toBe(1);
				expect(stage.server.requests).toHaveLength(before + (when === 'after' ? 1 : 0));
			},
		);

		test('an answer that is cut off meanwhile, and is the one that counts', async () => {
			const {waiting, goOn} = wait('after');
			const {script} = stage;
			stage.script = async function* (request) {
				const conversation = script(request);
				await conversation.next();
				await conversation.next(yield);
				await conversation.return();
			};
			let socket: Socket | undefined;
			stage.answer = (incoming, response) => {
				({socket} = incoming);
				response.writeHead(401, {'content-length': '1000'}).write('the beginning');
			};
			const result = reasonOf(send());
			await waiting;
			socket?.destroy();
			await once(socket as Socket, 'close');
			// The client hears of it through the system, and so before it has the answer to another request.
			stage.answer = (_incoming, response) => response.end();
			await (await request(stage.server.url)).body.dump();
			goOn();
			expect(await result).toBeInstanceOf(Error);
		});
	});

	test('an abort before anything is begun', async () => {
		const before = stage.server.requests.length;
		expect((await failure(send({signal: AbortSignal.abort()}))).name).toBe('AbortError');
		expect(stage.server.requests).toHaveLength(before);
	});

	test('an abort in the middle of the body', async () => {
		const controller = new AbortController();
		stage.script = async function* () {
			yield;
		};
		const begun = Promise.withResolvers<Socket>();
		stage.answer = ({socket}, response) => {
			response.writeHead(200, {'content-length': '1000'}).write('the beginning');
			begun.resolve(socket);
		};
		const result = failure(send({signal: controller.signal}));
		const socket = await begun.promise;
		const closed = once(socket, 'close');
		controller.abort();
		expect((await result).name).toBe('AbortError');
		await closed;
	});

	test('endless challenges do not stay', async () => {
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
		expect(await send()).toBe('accepted');
		expect(endless).toHaveLength(2);
		for (const socket of endless) if (!socket.destroyed) await once(socket, 'close');
	});

	test('a challenge that drips does not hold anything up', async () => {
		stage.script = untilAccepted;
		const dripping: Socket[] = [];
		stage.answer = (incoming, response) => {
			if (incoming.headers['x-leg'] === '2') {
				response.end('accepted');
				return;
			}
			dripping.push(incoming.socket);
			response.writeHead(401).write('x');
		};
		expect(await send()).toBe('accepted');
		for (const socket of dripping) if (!socket.destroyed) await once(socket, 'close');
	});
});

test('more than is held while the strategy decides stops the flow, and all of it arrives', async () => {
	const size = 3_000_000;
	const decide = Promise.withResolvers<void>();
	stage.script = async function* () {
		yield;
		await decide.promise;
	};
	let written = 0;
	stage.answer = (_incoming, response) => {
		response.writeHead(200);
		const more = (): void => {
			if (written >= size) response.end();
			else response.write('x'.repeat(10_000), () => more());
			written += 10_000;
		};
		more();
	};
	const answer = request(stage.server.url, {dispatcher: stage.gatepass.dispatcher});
	await expect.poll(() => written).toBeGreaterThan(64 * 1024);
	// Whatever the system's buffers take: not all of it is on its way.
	decide.resolve();
	const {body} = await answer;
	expect((await body.text()).length).toBe(size);
});

test('a reader that pauses gets all of it in order', async () => {
	stage.script = async function* () {
		yield;
	};
	const lines = Array.from({length: 50_000}, (_, index) => `${index}\n`).join('');
	stage.answer = (_incoming, response) => void response.end(lines);
	const {body} = await request(stage.server.url, {dispatcher: stage.gatepass.dispatcher, highWaterMark: 100});
	let received = '';
	for await (const chunk of body) {
		received += chunk;
		await new Promise(resolve => setImmediate(resolve));
	}
	expect(received === lines).toBe(true);
});

test("a retry of undici's takes up a body that breaks off", async () => {
	stage.script = async function* () {
		yield;
	};
	let asked = 0;
	stage.answer = ({headers}, response) => {
		asked += 1;
		if (asked === 1) {
			response.writeHead(200, {'content-length': '10', etag: '"1"', 'accept-ranges': 'bytes'});
			response.write('01234', () => response.destroy());
		} else {
			expect(headers.range).toBe('bytes=5-9');
			response
				.writeHead(206, {'content-range': 'bytes 5-9/10', 'content-length': '5', etag: '"1"'})
				.end('56789');
		}
	};
	const retry = interceptors.retry({minTimeout: 1});
	const {body} = await request(stage.server.url, {dispatcher: stage.gatepass.dispatcher.compose(retry)});
	expect(await body.text()).toBe('0123456789');
	expect(stage.begun).toBe(2);
});
