/** Bodies over undici and fetch: which are sent again, whole, and which never twice. */
import {randomBytes} from 'node:crypto';
import {createReadStream, openAsBlob, readdirSync, readlinkSync} from 'node:fs';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {createServer as createHttpServer} from 'node:http';
import {type AddressInfo, createServer, type Server, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Readable} from 'node:stream';
import {FormData as FormData8, interceptors, request} from 'undici';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {startServer} from '../../../src/testing/server.ts';
import {failure, setUpStage} from '../scripted-stage.ts';

const stage = setUpStage();
const content = randomBytes(300_000).toString('base64');
let folder: string;
let file: string;

beforeAll(async () => {
	folder = await mkdtemp(join(tmpdir(), 'gatepass-bodies-'));
	file = join(folder, 'content');
	await writeFile(file, content);
});
afterAll(() => rm(folder, {recursive: true, force: true}));

let replayable: boolean | undefined;

beforeEach(() => {
	replayable = undefined;
	stage.script = async function* (request) {
		replayable = request.replayable;
		for (let leg = 1; ; leg += 1) {
			request.headers.set('x-leg', `${leg}`);
			const {status} = yield;
			if (status === 200) return;
		}
	};
	stage.answer = ({headers}, response) => {
		response.statusCode = headers['x-leg'] === '3' ? 200 : 401;
		response.end(`leg ${headers['x-leg']}`);
	};
});

const viaRequest = async (body: unknown, headers: Record<string, string> = {}): Promise<number> => {
	const {dispatcher} = stage.gatepass;
	const response = await request(stage.server.url, {
		dispatcher,
		method: 'POST',
		body: body as never,
		headers,
	});
	await response.body.dump();
	return response.statusCode;
};
const viaFetch = async (body: unknown): Promise<number> => {
	const init = {method: 'POST', body: body as RequestInit['body'] & {}, duplex: 'half'} as const;
	const response = await stage.gatepass.fetch(stage.server.url, init);
	await response.arrayBuffer();
	return response.status;
};
const viaPlatform = async (body: unknown): Promise<number> => {
	const {dispatcher} = stage.gatepass;
	const init = {method: 'POST', body: body as RequestInit['body'] & {}, duplex: 'half', dispatcher} as const;
	const response = await fetch(stage.server.url, init);
	await response.arrayBuffer();
	return response.status;
};

/** How often this process has the files of the test open. */
const openFiles = () =>
	readdirSync('/proc/self/fd').filter(number => linkOf(number).startsWith(folder)).length;

function linkOf(number: string): string {
	try {
		return readlinkSync(`/proc/self/fd/${number}`);
	} catch {
		return '';
	}
}

const form = <Form extends FormData | FormData8>(made: Form): Form => {
	made.append('field', 'value');
	made.append('file', new Blob([content]) as never, 'name');
	return made;
};
const stream = (): ReadableStream => Readable.toWeb(Readable.from([Buffer.from(content)])) as ReadableStream;
const generate = async function* (): AsyncGenerator<Buffer> {
	yield Buffer.from(content.slice(0, 9));
	yield Buffer.from(content.slice(9));
};

const again: [string, (body: unknown) => Promise<number>, () => unknown][] = [
	['text by request', viaRequest, () => content],
	['bytes by request', viaRequest, () => Buffer.from(content)],
	['a view by request', viaRequest, () => new Uint8Array(Buffer.from(content))],
	['a blob by request', viaRequest, () => new Blob([content])],
	['a form by request', viaRequest, () => form(new FormData8())],
	['a list by request', viaRequest, () => [content.slice(0, 9), content.slice(9)]],
	['an iterable that begins again by request', viaRequest, () => ({[Symbol.asyncIterator]: generate})],
	['a file by request', viaRequest, () => createReadStream(file)],
	['a function by request', viaRequest, () => () => createReadStream(file)],
	[
		'a generator of known length by request',
		body => viaRequest(body, {'content-length': '400000'}),
		generate,
	],
	['text by fetch', viaFetch, () => content],
	['bytes by fetch', viaFetch, () => Buffer.from(content)],
	['a buffer by fetch', viaFetch, () => new Uint8Array(Buffer.from(content)).buffer],
	['a blob by fetch', viaFetch, () => new Blob([content])],
	['a file by fetch', viaFetch, () => openAsBlob(file)],
	['a form by fetch', viaFetch, () => form(new FormData())],
	['parameters by fetch', viaFetch, () => new URLSearchParams({content})],
	["text by Node's fetch", viaPlatform, () => content],
	["a blob by Node's fetch", viaPlatform, () => new Blob([content])],
	["a form by Node's fetch", viaPlatform, () => form(new FormData())],
];

test.each(again)('%s is sent whole on each leg', async (_name, send, body) => {
	const before = openFiles();
	expect(await send(await body())).toBe(200);
	expect(replayable).toBe(true);
	const sent = stage.server.requests.slice(-3);
	const bodies = sent.map(({body}) => body.replaceAll(/formdata-undici-\d+/g, 'boundary'));
	expect(new Set(bodies).size).toBe(1);
	expect(decodeURIComponent(bodies[0] as string)).toContain(content);
	await expect.poll(openFiles).toBe(before);
});

test.each<[string, (body: unknown) => Promise<number>, () => unknown]>([
	['a stream by request', viaRequest, () => Readable.from([content])],
	['a web stream by request', viaRequest, stream],
	['a generator by request', viaRequest, generate],
	['a stream by fetch', viaFetch, stream],
	['a generator by fetch', viaFetch, generate],
	["a stream by Node's fetch", viaPlatform, stream],
	["text of more than 1 MiB by Node's fetch", viaPlatform, () => content.repeat(3)],
])('%s is not sent twice', async (_name, send, body) => {
	const before = stage.server.requests.length;
	expect(await send(body())).toBe(401);
	expect(replayable).toBe(false);
	expect(stage.server.requests).toHaveLength(before + 1);
	expect(stage.server.requests.at(-1)?.body.startsWith(content)).toBe(true);
});

test('text of more than 1 MiB by gatepass.fetch, which knows that it is in memory, is sent again', async () => {
	expect(await viaFetch(content.repeat(3))).toBe(200);
	expect(stage.server.requests.slice(-3).map(({body}) => body === content.repeat(3))).toEqual([
		true,
		true,
		true,
	]);
});

test('a redirect sends the body again by fetch, on each leg', async () => {
	const first = await startServer((_request, response) => {
		response.writeHead(307, {location: `${stage.server.url}/moved`}).end();
	});
	const {script} = stage;
	stage.script = async function* (request) {
		if (request.url.origin === first.url) yield;
		else yield* script(request);
	};
	const response = await stage.gatepass.fetch(first.url, {method: 'POST', body: content});
	expect(await response.text()).toBe('leg 3');
	const bodies = [...first.requests, ...stage.server.requests.slice(-3)].map(({body}) => body === content);
	expect(bodies).toEqual([true, true, true, true]);
	await first.close();
});

test("what undici's redirect makes of a generator is not sent twice", async () => {
	const redirect = interceptors.redirect({maxRedirections: 3});
	const {statusCode, body} = await request(stage.server.url, {
		dispatcher: stage.gatepass.dispatcher.compose(redirect),
		method: 'POST',
		body: generate() as never,
	});
	await body.dump();
	expect([statusCode, replayable]).toEqual([401, false]);
});

test('a body that fails fails the request', async () => {
	const failing = async function* (): AsyncGenerator<string> {
		yield 'the beginning';
		throw new Error('closed for today');
	};
	const error = await failure(viaRequest(failing()));
	expect(error.message).toBe('closed for today');
	const missing = await failure(viaRequest(createReadStream(join(folder, 'missing'))));
	expect(missing.message).toContain('ENOENT');
});

test('a request that is refused before it is sent leaves nothing open', async () => {
	stage.script = async function* () {
		throw new Error('no ticket');
		// biome-ignore lint/correctness/noUnreachable: a generator needs one.
		yield;
	};
	const before = openFiles();
	let ended = 0;
	const generator = async function* (): AsyncGenerator<string> {
		try {
			yield content;
		} finally {
			ended += 1;
		}
	};
	for (let round = 0; round < 10; round++) {
		await failure(viaRequest(createReadStream(file)));
		await failure(viaRequest(() => createReadStream(file)));
	}
	const begun = generator();
	await begun.next();
	await failure(viaRequest(begun, {'content-length': `${content.length}`}));
	await expect.poll(openFiles).toBe(before);
	await expect.poll(() => ended).toBe(1);
});

describe('a server that answers before it has read the body', () => {
	const size = 20_000_000;
	let server: Server;
	const sockets = new Set<Socket>();
	/** Legs up to this one are answered early. */
	let early: number;
	let read: number[];

	beforeAll(async () => {
		const http = createHttpServer((request, response) => {
			let length = 0;
			request.on('data', chunk => {
				length += chunk.length;
			});
			request.on('end', () => {
				read.push(length);
				response.writeHead(200, {connection: 'close'}).end('read');
			});
		});
		server = createServer(socket => {
			sockets.add(socket);
			socket.on('error', () => {});
			socket.on('data', function onData(chunk) {
				const leg = /^x-leg: (\d+)/im.exec(chunk.toString('latin1'))?.[1];
				if (leg === undefined) return;
				if (Number(leg) > early) {
					socket.off('data', onData);
					socket.unshift(chunk);
					http.emit('connection', socket);
					return;
				}
				socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 7\r\n\r\nrefused');
				if (early === 2) socket.pause();
			});
		});
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	});
	afterAll(() => {
		for (const socket of sockets) socket.destroy();
		server.close();
	});
	beforeEach(() => {
		read = [];
		stage.script = async function* (request) {
			for (const leg of ['1', '2']) {
				request.headers.set('x-leg', leg);
				const {status} = yield;
				if (status === 200) return;
			}
		};
	});

	let open = 0;
	const big = (): object => ({
		async *[Symbol.asyncIterator]() {
			open += 1;
			try {
				for (let chunk = 0; chunk < size / 100_000; chunk++) yield Buffer.alloc(100_000, 'x');
			} finally {
				open -= 1;
			}
		},
	});
	const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	const bodies: [string, () => unknown][] = [
		['an iterable', big],
		['a function', () => () => Readable.from(big() as AsyncIterable<Buffer>)],
		['bytes', () => Buffer.alloc(size, 'x')],
	];

	test.each(bodies)('%s is sent whole the second time', async (_name, make) => {
		early = 1;
		for (let round = 0; round < 5; round++) {
			const {dispatcher} = stage.gatepass;
			const response = await request(url(), {dispatcher, method: 'POST', body: make() as never});
			expect(await response.body.text()).toBe('read');
		}
		expect(read).toEqual(Array(5).fill(size));
		await expect.poll(() => open).toBe(0);
	});

	// Bytes are written at once: undici gives the connection to the next request, which then waits behind them.
	test.each(bodies.slice(0, 2))(
		'the second refusal of %s is delivered, and the rest is not read',
		async (_name, make) => {
			early = 2;
			for (let round = 0; round < 5; round++) {
				const {dispatcher} = stage.gatepass;
				const response = await request(url(), {dispatcher, method: 'POST', body: make() as never});
				expect(response.statusCode).toBe(401);
				expect(await response.body.text()).toBe('refused');
			}
			await expect.poll(() => open).toBe(0);
		},
	);
});
