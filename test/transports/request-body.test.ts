/** A strategy that needs the bytes of the body has those that are sent, on every leg and hop, whoever sends. */
import {createHash} from 'node:crypto';
import {createReadStream} from 'node:fs';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import got from 'got';
import {request, FormData as UndiciForm} from 'undici';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {z} from 'zod';
import {createGatepass, defineStrategy, type Gatepass, StrategyError} from '../../src/index.ts';
import {startServer, type TestServer} from '../../src/testing/server.ts';
import {mostBodyBytes} from '../../src/transports/body-bytes.ts';
import {clients} from './clients.ts';
import {failure} from './scripted-stage.ts';

const hashOf = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');
const content = 'grün, and more of it '.repeat(10_000);

/** Says what it has seen of the body; goes on until it is accepted. */
const digests = defineStrategy({
	name: 'digests',
	options: z.object({}),
	requiresRequestBody: true,
	async *authenticate(request) {
		for (let leg = 1; ; leg += 1) {
			request.headers.set('x-digest', request.body === undefined ? 'none' : hashOf(request.body));
			request.headers.set('x-leg', `${leg}`);
			const {status} = yield;
			if (status !== 401) return;
		}
	},
});

/** Asks for the body once the server has refused the request. */
const late = defineStrategy({
	name: 'late',
	options: z.object({}),
	async *authenticate(request) {
		const {status} = yield;
		if (status !== 401 || !request.replayable) return;
		const body = await request.readBody();
		request.headers.set('x-digest', body === undefined ? 'none' : hashOf(body));
		request.headers.set('x-leg', '2');
		yield;
	},
});

/** Refuses the first leg; answers the second with whether the digest is that of the body. */
let server: TestServer;
/** Leads to the other. */
let before: TestServer;
let gatepass: Gatepass;
let folder: string;
let file: string;
let legs = 2;
const seen: {digest: unknown; isTrue: boolean; length: unknown; type: unknown}[] = [];

beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), 'gatepass-request-body-'));
	file = join(folder, 'content');
	await writeFile(file, content);
	server = await startServer(({body, headers}, response) => {
		const digest = headers['x-digest'];
		const isTrue = digest === (body === '' ? 'none' : hashOf(body));
		seen.push({digest, isTrue, length: headers['content-length'], type: headers['content-type']});
		const isLast = Number(headers['x-leg'] ?? 1) >= legs;
		response.writeHead(isLast ? 200 : 401).end(isTrue ? 'true' : 'false');
	});
	before = await startServer((_, response) => {
		response.writeHead(307, {location: `${server.url}/moved`}).end();
	});
	gatepass = await createGatepass({
		got: got.extend({retry: {limit: 0}}),
		strategies: [digests, late],
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				{match: [server.url, before.url], strategy: 'digests'},
				{match: `${server.url}/late`, strategy: 'late'},
				{match: `${server.url}/chain`, strategy: 'chain', options: {of: [{strategy: 'digests'}]}},
			],
		},
	});
});
beforeEach(() => {
	legs = 2;
	seen.length = 0;
});
afterAll(async () => {
	await gatepass.close();
	await Promise.all([server.close(), before.close(), rm(folder, {recursive: true})]);
});

describe.each(clients.map(client => ({client, name: client.name})))('over $name', ({client}) => {
	test.each(['/', '/late', '/chain'])('the bytes are those that are sent, on each leg: %s', async path => {
		const {status, body} = await client.send(gatepass, server.url + path, {method: 'POST', body: content});
		expect([status, body]).toEqual([200, 'true']);
		expect(seen).toHaveLength(2);
		for (const {length} of seen) expect(length).toBe(`${Buffer.byteLength(content)}`);
	});

	test('and on each hop', async () => {
		const {status, body} = await client.send(gatepass, before.url, {method: 'POST', body: content});
		expect([status, body]).toEqual([200, 'true']);
		expect(before.requests[before.requests.length - 1]?.headers['x-digest']).toBe(hashOf(content));
	});

	test('without a body there are none', async () => {
		const {body} = await client.send(gatepass, server.url);
		expect(body).toBe('true');
		expect(seen.at(-1)?.digest).toBe('none');
	});
});

const once = (): Readable => Readable.from([content.slice(0, 9), content.slice(9)]);
const bodies: [string, () => unknown][] = [
	['bytes', () => Buffer.from(content)],
	['a stream that can be read once', once],
	['a file', () => createReadStream(file)],
	['a function', () => async () => once()],
	['a list', () => [content.slice(0, 9), Buffer.from(content.slice(9))]],
	['a stream of the web', () => Readable.toWeb(once())],
];

test.each(bodies)('got: %s', async (_, body) => {
	expect(await gatepass.got.post(server.url, {body: body() as never}).text()).toBe('true');
	expect(seen.map(({length}) => length)).toEqual([1, 2].map(() => `${Buffer.byteLength(content)}`));
});

test('got: a form, JSON, and fields, as they are written', async () => {
	const form = new FormData();
	form.set('file', new Blob([content]), 'name');
	expect(await gatepass.got.post(server.url, {body: form}).text()).toBe('true');
	expect(await gatepass.got.post(server.url, {json: {a: 'ü'}}).text()).toBe('true');
	expect(await gatepass.got.post(server.url, {form: {a: 'ü b'}}).text()).toBe('true');
});

test('got: a stream that is given as its body is read before it is sent, and can be sent again', async () => {
	const stream = gatepass.got.stream.post(server.url, {body: once()});
	expect(await new Response(Readable.toWeb(stream) as never).text()).toBe('true');
});

test.each(bodies.filter(([name]) => name !== 'a stream of the web'))(
	'undici.request: %s',
	async (_, body) => {
		const {dispatcher} = gatepass;
		const answer = await request(server.url, {dispatcher, method: 'POST', body: body() as never});
		expect(await answer.body.text()).toBe('true');
		expect(answer.statusCode).toBe(200);
	},
);

test.each([FormData, UndiciForm])('undici.request: a form', async Form => {
	const body = new Form();
	body.set('name', 'value');
	body.set('file', new File([content], 'a name'));
	const {dispatcher} = gatepass;
	const answer = await request(server.url, {dispatcher, method: 'POST', body: body as never});
	expect(await answer.body.text()).toBe('true');
	expect(String(seen.at(-1)?.type)).toMatch(/^multipart\/form-data; boundary=/);
	expect(server.requests.at(-1)?.body).toContain('filename="a name"');
});

test.each<[string, () => unknown]>([
	['bytes', () => new Uint8Array(Buffer.from(content))],
	['a blob', () => new Blob([content])],
	['fields', () => new URLSearchParams({a: 'ü b'})],
	['a stream', () => Readable.toWeb(once()) as never],
])('fetch: %s', async (_, body) => {
	const response = await gatepass.fetch(server.url, {method: 'POST', body: body(), duplex: 'half'} as never);
	expect(await response.text()).toBe('true');
	expect(response.status).toBe(200);
});

test('flow and authorize: a body that can be read once only is refused, for who else would send it', async () => {
	for (const asked of [
		gatepass.flow(server.url, {method: 'POST', body: once()}),
		gatepass.authorize(server.url, {method: 'POST', body: once()}),
	]) {
		const error = await failure(asked);
		expect(error).toBeInstanceOf(StrategyError);
		expect(error.message).toContain('can be read once only');
	}
});

test('authorize: for a body that is told', async () => {
	const {headers} = await gatepass.authorize(server.url, {method: 'POST', body: content, headers: {a: 'b'}});
	expect(headers).toMatchObject({'x-digest': hashOf(content), a: 'b'});
});

test('a body that is larger than the limit is an error before anything is sent, and is read no further', async () => {
	const chunk = Buffer.alloc(1024 * 1024);
	let given = 0;
	const large = async function* () {
		for (;;) {
			given += chunk.length;
			yield chunk;
		}
	};
	for (const send of [
		() => gatepass.got.post(server.url, {body: large() as never}),
		() => request(server.url, {dispatcher: gatepass.dispatcher, method: 'POST', body: large() as never}),
		() => gatepass.flow(server.url, {method: 'POST', body: {[Symbol.asyncIterator]: large}}),
	]) {
		given = 0;
		const error = await failure(send());
		expect(error).toBeInstanceOf(StrategyError);
		expect(error.message).toContain('more than 67,108,864 bytes');
		expect(given).toBeLessThanOrEqual(mostBodyBytes + chunk.length);
	}
	expect(seen).toEqual([]);
});
