/** Bodies that a strategy sends in another form (`encodeBody`), and how long they are said to be, over each client. */
import {createReadStream} from 'node:fs';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import {setImmediate as immediate} from 'node:timers/promises';
import got, {type Got} from 'got';
import {afterEach, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import {createGatepass, defineStrategy, type Gatepass} from '../../src/index.ts';
import {startServer, type TestServer} from '../../src/testing/server.ts';
import {failure} from './scripted-stage.ts';

let server: TestServer;
/** The statuses that the server answers with, then 200. */
let statuses: number[];
let lengths: (number | undefined)[];
let canEncode: boolean[];
/** Whether the next request is broken off. */
let isStale: boolean;

beforeEach(async () => {
	[statuses, lengths, canEncode] = [[], [], []];
	isStale = false;
	server = await startServer((_request, response) => {
		if (isStale) response.socket?.resetAndDestroy();
		else response.writeHead(statuses.shift() ?? 200).end();
		isStale = false;
	});
});
afterEach(() => server.close());

/** Sends every byte in capitals, and another mark before it on each leg. */
const shouting = defineStrategy({
	name: 'shouting',
	async *authenticate(request) {
		lengths.push(request.bodyLength);
		canEncode.push(request.encodeBody !== undefined);
		for (let leg = 1; leg <= 2; leg++) {
			const length = request.bodyLength;
			request.encodeBody?.(async function* (chunks) {
				yield Buffer.from(`${leg}:`);
				for await (const chunk of chunks) yield Buffer.from(Buffer.from(chunk).toString().toUpperCase());
			});
			if (leg === 1 && length !== undefined) request.headers.set('content-length', String(length + 2));
			const {status} = yield;
			if (status !== 401) return;
		}
	},
});

async function open(): Promise<Gatepass> {
	const gatepass = await createGatepass({
		env: {},
		got: got.extend({retry: {limit: 0}, throwHttpErrors: false}),
		strategies: [shouting],
		config: {cache: {url: 'memory:'}, hostRules: [{match: 'http://127.0.0.1:*', strategy: 'shouting'}]},
	});
	onTestFinished(() => gatepass.close());
	return gatepass;
}

type Send = (gatepass: Gatepass, body: unknown, headers?: Record<string, string>) => Promise<unknown>;

const senders: Readonly<Record<'got' | 'fetch' | 'undici', Send>> = {
	got: (gatepass, body, headers = {}) =>
		(gatepass.got as Got).post(server.url, {body: body as string, headers}),
	fetch: async (gatepass, body, headers = {}) => {
		const sent = {method: 'POST', body: body as string, headers, duplex: 'half'} as RequestInit;
		await (await gatepass.fetch(server.url, sent)).text();
	},
	undici: async (gatepass, body, headers = {}) => {
		const sent = {origin: server.url, path: '/', method: 'POST', body: body as string, headers} as const;
		await (await gatepass.dispatcher.request(sent)).body.dump();
	},
};

const bodies = () => server.requests.map(({body}) => body);
const text = 'some text, ';

describe.each(Object.entries(senders))('over %s', (name, send) => {
	test.each<[string, () => unknown, number | undefined]>([
		['a text', () => text.repeat(3), 33],
		['bytes', () => new TextEncoder().encode(text.repeat(3)), 33],
		['a Blob', () => (name === 'got' ? text.repeat(3) : new Blob([text.repeat(3)])), 33],
		[
			'a stream',
			() =>
				name === 'fetch'
					? ReadableStream.from([1, 2, 3].map(() => new TextEncoder().encode(text)))
					: Readable.from([text, text, text]),
			undefined,
		],
		[
			'an iterable',
			() =>
				name === 'got' ? [text, text, text].values() : name === 'fetch' ? text.repeat(3) : [text, text, text],
			name === 'fetch' ? 33 : undefined,
		],
	])('%s', async (_, make, length) => {
		await send(await open(), make());
		expect(bodies()).toEqual([`1:${text.repeat(3).toUpperCase()}`]);
		expect(lengths).toEqual([length]);
	});

	test('a stream whose length is told, and one that is sent in many pieces', async () => {
		const gatepass = await open();
		const pieces = Array.from({length: 2000}, (_, index) => `piece ${index} of many; `);
		const length = pieces.join('').length;
		const body =
			name === 'fetch'
				? ReadableStream.from(pieces.map(piece => new TextEncoder().encode(piece)))
				: Readable.from(pieces);
		await send(gatepass, body, {'content-length': String(length)});
		expect(bodies()).toEqual([`1:${pieces.join('').toUpperCase()}`]);
		expect(server.requests[0]?.headers['content-length']).toBe(String(length + 2));
		expect(lengths).toEqual([length]);
	});

	test('each leg is encoded again, from the beginning', async () => {
		statuses = [401];
		await send(await open(), text);
		expect(bodies()).toEqual([`1:${text.toUpperCase()}`, `2:${text.toUpperCase()}`]);
	});

	test('a leg that has reached nobody is encoded again', async () => {
		const gatepass = await open();
		await send(gatepass, 'first');
		// The server closes the connection as the next request is on its way.
		isStale = true;
		await immediate();
		await send(gatepass, text);
		expect(bodies().slice(-2)).toEqual([`1:${text.toUpperCase()}`, `1:${text.toUpperCase()}`]);
	});

	test('no body has no bytes', async () => {
		const gatepass = await open();
		if (name === 'got') await gatepass.got(server.url);
		else if (name === 'fetch') await gatepass.fetch(server.url);
		else
			await (await gatepass.dispatcher.request({origin: server.url, path: '/', method: 'GET'})).body.dump();
		expect(lengths).toEqual([0]);
	});
});

test('a file, and a part of one, have a length', async () => {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-encoded-'));
	onTestFinished(() => rm(folder, {recursive: true, force: true}));
	const file = join(folder, 'file');
	await writeFile(file, '0123456789');
	const gatepass = await open();
	await gatepass.got.post(server.url, {body: createReadStream(file)});
	await gatepass.got.post(server.url, {body: createReadStream(file, {start: 2, end: 4})});
	await gatepass.got.post(server.url, {body: createReadStream(file, {start: 8, end: 40})});
	expect(lengths).toEqual([10, 3, 2]);
	expect(bodies()).toEqual(['1:0123456789', '1:234', '1:89']);
});

test('what is written to a stream of got is encoded, too', async () => {
	const gatepass = await open();
	const stream = gatepass.got.stream.post(server.url);
	for (const word of ['first', ' second']) stream.write(word);
	stream.end(' third');
	await stream.resume().toArray();
	expect(bodies()).toEqual(['1:FIRST SECOND THIRD']);
	expect(lengths).toEqual([undefined]);
});

test('a function that opens the body opens it for each leg', async () => {
	statuses = [401];
	let openings = 0;
	const body = () => {
		openings += 1;
		return Readable.from([text]);
	};
	await (await open()).got.post(server.url, {body: body as never});
	expect(openings).toBe(2);
	expect(bodies()).toEqual([`1:${text.toUpperCase()}`, `2:${text.toUpperCase()}`]);
});

test('what an encoder throws is what the caller gets', async () => {
	const broken = defineStrategy({
		name: 'broken',
		async *authenticate(request) {
			// biome-ignore lint/correctness/useYield: it fails before it gives anything.
			request.encodeBody?.(async function* () {
				throw new Error('the encoder is broken');
			});
			yield;
		},
	});
	const gatepass = await createGatepass({
		env: {},
		got: got.extend({retry: {limit: 0}}),
		strategies: [broken],
		config: {cache: {url: 'memory:'}, hostRules: [{match: 'http://127.0.0.1:*', strategy: 'broken'}]},
	});
	onTestFinished(() => gatepass.close());
	for (const send of Object.values(senders)) {
		const error = await failure(send(gatepass, text) as Promise<unknown>);
		expect(String((error.cause as Error | undefined)?.message ?? error.message)).toContain(
			'the encoder is broken',
		);
	}
});

test('where another client sends, nothing can be encoded', async () => {
	const gatepass = await open();
	await using flow = await gatepass.flow(server.url, {method: 'POST', body: text});
	expect(flow.headers).not.toHaveProperty('content-length');
	await gatepass.authorize(server.url, {method: 'POST', body: text});
	expect(canEncode).toEqual([false, false]);
});
