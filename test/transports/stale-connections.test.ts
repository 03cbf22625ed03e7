/**
 * A server closes connections that are idle. A request that was on its way then reached nobody and is sent again, a POST
 * too; one that may have reached somebody is not.
 */

import {readFile} from 'node:fs/promises';
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import {createServer as createSecureServer} from 'node:https';
import type {AddressInfo, Socket} from 'node:net';
import {Readable} from 'node:stream';
import {setImmediate as immediate} from 'node:timers/promises';
import got, {type OptionsInit} from 'got';
import {Agent, type Dispatcher, interceptors, Pool, request as undiciRequest} from 'undici';
import {Agent as Agent7} from 'undici7';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';

/** What the server does with a request on a connection that had one before. */
type Treatment = (request: IncomingMessage, response: ServerResponse) => void;

let authority: TestAuthority;
const servers: Server[] = [];
const origins: Record<string, string> = {};
let gatepass: Gatepass;
let again: Treatment;
/** Bodies of requests that were answered. */
let handled: string[];
/** Requests that the server began to read. */
let seen: number;
const sockets = new Set<Socket>();
const used = new WeakSet<object>();

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
	seen += 1;
	vi.advanceTimersByTime(1);
	if (used.has(request.socket)) {
		again(request, response);
		return;
	}
	handled.push((await request.toArray()).join(''));
	used.add(request.socket);
	response.end('answered');
}

beforeAll(async () => {
	authority = await createTestAuthority();
	const {certificate, key} = await authority.issue('server', {subject: 'CN=127.0.0.1', hosts: ['127.0.0.1']});
	const listener = (request: IncomingMessage, response: ServerResponse): void =>
		void answer(request, response).catch(() => {});
	const files = {cert: await readFile(certificate), key: await readFile(key)};
	for (const [scheme, server] of Object.entries({
		http: createServer(listener),
		https: createSecureServer(files, listener),
	})) {
		server.keepAliveTimeout = 0;
		server.on('connection', (socket: Socket) => {
			sockets.add(socket);
			socket.on('error', () => {}).once('close', () => sockets.delete(socket));
		});
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
		servers.push(server);
		origins[scheme] = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
	}
});
afterAll(async () => {
	for (const socket of sockets) socket.destroy();
	for (const server of servers) server.close();
	await authority.close();
});
// Each test has pools of its own: undici takes any of its clients, also one that is not connected.
beforeEach(async () => {
	// By this clock gatepass tells what broke at once from what broke later. It goes on with the
	// requests that the server sees, however slow the machine is.
	vi.useFakeTimers({toFake: ['performance']});
	handled = [];
	seen = 0;
	const ways = Object.values(origins);
	gatepass = await createGatepass({
		got: got.extend({retry: {limit: 0}}),
		config: {
			cache: {url: 'memory:'},
			trust: [{match: ways.filter(origin => origin.startsWith('https')), ca: authority.ca, only: true}],
			hostRules: [{match: ways, strategy: 'static-token', options: {token: 'CANARY'}}],
		},
	});
});
afterEach(async () => {
	await gatepass.close();
	vi.useRealTimers();
	await Promise.all(own.splice(0).map(dispatcher => dispatcher.close()));
});

/** undici gives a connection back in the round after its answer. */
async function untilIdle(): Promise<void> {
	for (let round = 0; round < 3; round += 1) await immediate();
}

type Send = (url: string, body: string) => Promise<string>;

const post = (url: string, options: OptionsInit): Promise<string> => gatepass.got.post(url, options).text();

const clients: Record<string, Send> = {
	'got with text': (url, body) => post(url, {body}),
	'got with bytes': (url, body) => post(url, {body: new TextEncoder().encode(body)}),
	'got with what can be opened again': (url, body) =>
		post(url, {body: (() => Readable.from([body])) as never}),
	'got with a form': (url, body) => post(url, {form: {body}}),
	fetch: async (url, body) => (await gatepass.fetch(url, {method: 'POST', body})).text(),
	'undici.request': async (url, body) => {
		const options = {method: 'POST', body, dispatcher: gatepass.dispatcher} as const;
		return (await undiciRequest(url, options)).body.text();
	},
};

/** Dispatchers of the caller's, of which nobody says when their connections break. */
const own: Dispatcher[] = [];
const callers: Record<string, (origin: string) => Dispatcher> = {
	Agent: () => new Agent(),
	Pool: origin => new Pool(origin),
	'Agent behind interceptors': () => new Agent().compose(interceptors.dns()),
	'Agent of undici 7': () => new Agent7() as never,
};
for (const [name, make] of Object.entries(callers)) {
	let dispatcher: Dispatcher | undefined;
	let of: Gatepass;
	clients[`over an own ${name}`] = async (url, body) => {
		if (dispatcher === undefined || of !== gatepass) {
			dispatcher = make(new URL(url).origin);
			of = gatepass;
			own.push(dispatcher);
		}
		const through = gatepass.intercept(dispatcher) as Dispatcher;
		return (await undiciRequest(url, {method: 'POST', body, dispatcher: through})).body.text();
	};
}

const breaks: Record<string, Treatment> = {
	'closes it': request => request.socket.destroy(),
	'resets it': ({socket: {remotePort}}) => {
		// With TLS, the connection below it.
		for (const socket of sockets) if (socket.remotePort === remotePort) socket.resetAndDestroy();
	},
	'ends it': request => request.socket.end(),
};

describe.each(['http', 'https'])('over %s', scheme => {
	const url = (): string => `${origins[scheme]}/runs`;

	describe.each(Object.entries(clients))('%s', (_name, send) => {
		test.each(Object.entries(breaks))('a POST is sent again where the server %s', async (_how, treatment) => {
			await send(url(), 'first');
			await untilIdle();
			again = treatment;
			expect(await send(url(), 'second')).toBe('answered');
			expect(handled.map(body => body.replace(/^body=/, ''))).toEqual(['first', 'second']);
			expect(seen).toBe(3);
		});

		test('a POST that crosses the close of idle connections is handled once', async () => {
			for (let round = 0; round < 5; round += 1) {
				await send(url(), `${round}`);
				if (round % 2 === 0) await untilIdle();
				for (const socket of sockets) socket.destroy();
			}
			expect(handled.map(body => body.replace(/^body=/, ''))).toEqual(['0', '1', '2', '3', '4']);
		});

		test.each<[string, Treatment]>([
			[
				'after a part of its answer',
				request => request.socket.write('HTTP/1.1 200 ', () => request.socket.destroy()),
			],
			[
				'after an interim answer',
				(request, response) => response.writeProcessing(() => setImmediate(() => request.socket.destroy())),
			],
			[
				'later than any way takes',
				request => {
					vi.advanceTimersByTime(1200);
					request.socket.destroy();
				},
			],
		])('no POST is sent again that the server breaks off %s', async (_when, treatment) => {
			await send(url(), 'first');
			await untilIdle();
			again = treatment;
			await expect(send(url(), 'second')).rejects.toThrow();
			expect(seen).toBe(2);
			expect(handled).toHaveLength(1);
		});
	});

	test('no request is sent again that was the first of its connection', async () => {
		const server = servers[scheme === 'http' ? 0 : 1] as Server;
		const listeners = server.listeners('request') as ((...values: unknown[]) => void)[];
		server.removeAllListeners('request').on('request', ({socket}: IncomingMessage) => {
			seen += 1;
			socket.destroy();
		});
		try {
			for (const [count, send] of Object.values(clients).entries()) {
				await expect(send(url(), 'x')).rejects.toThrow();
				expect(seen).toBe(count + 1);
			}
		} finally {
			server.removeAllListeners('request');
			for (const listener of listeners) server.on('request', listener);
		}
	});

	test.each<[string, () => Promise<unknown>]>([
		['got', () => post(url(), {body: Readable.from(['second'])})],
		['a stream of got', () => gatepass.got.stream.post(url()).end('second').toArray()],
		[
			'fetch',
			() =>
				gatepass.fetch(url(), {
					method: 'POST',
					body: new Blob(['second']).stream(),
					duplex: 'half',
				} as RequestInit as never),
		],
		[
			'undici.request',
			() =>
				undiciRequest(url(), {
					method: 'POST',
					body: Readable.from(['second']),
					dispatcher: gatepass.dispatcher as Dispatcher,
				}),
		],
	])('no body of %s is sent again that can be read once', async (_name, send) => {
		// Each client has a pool of its own.
		for (const name of ['got with text', 'fetch', 'undici.request']) await clients[name]?.(url(), 'first');
		await untilIdle();
		again = breaks['closes it'] as Treatment;
		const before = seen;
		await expect(send()).rejects.toThrow();
		expect(seen).toBe(before + 1);
	});

	test('a request that is aborted, or out of time, is not sent again', async () => {
		await post(url(), {body: 'first'});
		const controller = new AbortController();
		again = request => {
			controller.abort();
			setImmediate(() => request.socket.destroy());
		};
		await expect(post(url(), {body: 'second', signal: controller.signal})).rejects.toMatchObject({
			name: 'AbortError',
		});
		await (await gatepass.fetch(url(), {method: 'POST', body: 'first'})).text();
		await untilIdle();
		const limit = new AbortController();
		again = () => limit.abort(new DOMException('The time is over', 'TimeoutError'));
		const sent = gatepass.fetch(url(), {method: 'POST', body: 'second', signal: limit.signal});
		await expect(sent).rejects.toMatchObject({name: 'TimeoutError'});
		expect(seen).toBe(4);
	});
});
