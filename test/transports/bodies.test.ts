/** Bodies that can be opened again are sent whole on each leg, redirect and retry; others never twice, and never half. */
import {createHash, randomBytes} from 'node:crypto';
import {createReadStream, readdirSync, readlinkSync} from 'node:fs';
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {createServer as createHttpServer} from 'node:http';
import {type AddressInfo, createServer, type Server, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {Readable} from 'node:stream';
import {setTimeout as pause} from 'node:timers/promises';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import type {AuthRequest, Conversation} from '../../src/index.ts';
import {startServer} from '../../src/testing/server.ts';
import {failure, setUpStage, untilAccepted} from './scripted-stage.ts';

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

/** got's types know no function; its iterables are the same in other words. */
const fromFunction = (open: () => unknown): never => open as never;

const reopenable: [string, () => Readable, string][] = [
	['a function that opens a file', () => fromFunction(() => createReadStream(file)), content],
	[
		'a function that is a generator',
		() =>
			fromFunction(async function* () {
				yield content.slice(0, 5);
				yield Buffer.from(content.slice(5));
			}),
		content,
	],
	['a function that takes its time', () => fromFunction(async () => Readable.from([content])), content],
	['a file', () => createReadStream(file), content],
	['a part of a file', () => createReadStream(file, {start: 7, end: 70_000}), content.slice(7, 70_001)],
	['text of a file', () => createReadStream(file, {encoding: 'utf8'}), content],
	[
		'an iterable that begins again',
		() =>
			({
				async *[Symbol.asyncIterator]() {
					yield content;
				},
			}) as unknown as Readable,
		content,
	],
	['a list', () => [content.slice(0, 9), content.slice(9)] as unknown as Readable, content],
];

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

describe.each(reopenable)('%s', (_, body, expected) => {
	const accept = (last: number) => {
		stage.answer = ({headers}, response) => {
			response.statusCode = Number(headers['x-leg']) < last ? 401 : 200;
			response.end(`leg ${headers['x-leg']}`);
		};
	};
	const bodies = () => stage.server.requests.map(({body}) => body);

	test('is sent whole on each leg', async () => {
		accept(3);
		const before = bodies().length;
		expect(await stage.gatepass.got.post(stage.server.url, {body: body()}).text()).toBe('leg 3');
		const sent = bodies().slice(before);
		expect(sent.length).toBe(3);
		for (const one of sent) expect(one === expected).toBe(true);
	});

	test('follows a redirect, and is sent on each leg there too', async () => {
		accept(2);
		const first = await startServer((_request, response) => {
			response.writeHead(307, {location: `${stage.server.url}/moved`}).end();
		});
		const before = bodies().length;
		stage.script = async function* (request) {
			// The first server asks for nothing.
			if (request.url.origin === first.url) yield;
			else yield* untilAccepted(request);
		};
		expect(await stage.gatepass.got.post(first.url, {body: body()}).text()).toBe('leg 2');
		expect(
			[...first.requests.map(({body}) => body), ...bodies().slice(before)].map(one => one === expected),
		).toEqual([true, true, true]);
		await first.close();
	});

	test("is sent again by got's own retry", async () => {
		let asked = 0;
		stage.answer = (_, response) => {
			asked += 1;
			response.writeHead(asked < 3 ? 503 : 200).end('served');
		};
		stage.script = async function* () {
			yield;
		};
		const before = bodies().length;
		const {body: answer} = await stage.gatepass.got.put(stage.server.url, {
			body: body(),
			retry: {limit: 2, calculateDelay: ({computedValue}) => Math.min(1, computedValue)},
		});
		expect(answer).toBe('served');
		expect(
			bodies()
				.slice(before)
				.map(one => one === expected),
		).toEqual([true, true, true]);
	});
});

describe('bodies that are used up', () => {
	test.each<[string, () => Readable]>([
		['a stream', () => Readable.from([content])],
		['a web stream', () => Readable.toWeb(Readable.from([Buffer.from(content)])) as unknown as Readable],
		[
			'a generator that runs',
			() =>
				(function* () {
					yield content;
				})() as unknown as Readable,
		],
		['lines', () => createInterface({input: Readable.from(['line\n'])}) as unknown as Readable],
	])('%s is not sent twice', async (_, body) => {
		let replayable: boolean | undefined;
		stage.script = async function* (request) {
			replayable = request.replayable;
			yield;
			yield;
		};
		stage.answer = (_incoming, response) => void response.writeHead(401).end('refused');
		const before = stage.server.requests.length;
		const {statusCode} = await stage.gatepass.got.post(stage.server.url, {
			body: body(),
			throwHttpErrors: false,
		});
		expect([statusCode, replayable]).toEqual([401, false]);
		expect(stage.server.requests.length).toBe(before + 1);
	});

	test('a device is no file', async () => {
		let replayable: boolean | undefined;
		stage.script = async function* (request) {
			replayable = request.replayable;
			yield;
		};
		await stage.gatepass.got.post(stage.server.url, {body: createReadStream('/dev/null')});
		expect(replayable).toBe(false);
	});
});

describe('what goes wrong', () => {
	test('a file that is not there', async () => {
		const error = await failure(
			stage.gatepass.got.post(stage.server.url, {body: createReadStream(join(folder, 'missing'))}),
		);
		expect(error.message).toContain('ENOENT');
	});

	test('a stream that fails when it is opened again, or in the middle', async () => {
		stage.answer = (_incoming, response) => void response.writeHead(401).end();
		for (const where of ['opening', 'middle']) {
			let opened = 0;
			const open = async function* () {
				opened += 1;
				if (opened === 2 && where === 'opening') throw new Error('closed for today');
				yield content;
				if (opened === 2) throw new Error('closed for today');
			};
			const error = await failure(stage.gatepass.got.post(stage.server.url, {body: fromFunction(open)}));
			expect(error.message).toBe('closed for today');
		}
	});

	test('a request that is refused before it is sent leaves no file open', async () => {
		stage.script = async function* () {
			throw new Error('no ticket');
			// biome-ignore lint/correctness/noUnreachable: a generator needs one.
			yield;
		};
		const before = openFiles();
		for (let round = 0; round < 20; round++) {
			await failure(stage.gatepass.got.post(stage.server.url, {body: createReadStream(file)}));
		}
		await expect.poll(openFiles).toBe(before);
	});
});

describe('a server that answers before it has read the body', () => {
	/** What it does with the connection then. */
	type Manner = 'reads on' | 'reads no more' | 'hangs up';
	const size = 30_000_000;
	let server: Server;
	let sockets: Set<Socket>;
	let digests: string[];
	let manner: Manner;
	/** Legs up to this one are answered early. */
	let early: number;
	let big: string;

	beforeAll(async () => {
		big = join(folder, 'big');
		await writeFile(big, Buffer.alloc(size, 'x'));
		const http = createHttpServer((request, response) => {
			const hash = createHash('sha256');
			request.on('data', chunk => hash.update(chunk));
			request.on('end', () => {
				digests.push(hash.digest('hex'));
				response.writeHead(200, {connection: 'close'}).end('read');
			});
		});
		sockets = new Set();
		server = createServer(socket => {
			sockets.add(socket);
			socket.on('error', () => {});
			socket.on('data', function read(chunk) {
				// The body has nothing like it.
				const leg = /^x-leg: (\d+)/im.exec(chunk.toString('latin1'))?.[1];
				if (leg === undefined) return;
				if (Number(leg) > early) {
					socket.off('data', read);
					socket.unshift(chunk);
					http.emit('connection', socket);
					return;
				}
				if (manner !== 'reads on') socket.pause();
				socket.write('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n');
			});
		});
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	});
	afterAll(() => {
		for (const socket of sockets) socket.destroy();
		server.close();
	});

	const cases = (['reads on', 'reads no more', 'hangs up'] as const).flatMap(manner =>
		(['a file', 'a function'] as const).map(kind => [manner, kind] as const),
	);
	const bodyOf = (kind: string) =>
		kind === 'a file' ? createReadStream(big) : fromFunction(() => createReadStream(big));
	const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

	/** Refused twice, and each time the server may hang up as soon as that is known. */
	const legs = async function* (request: AuthRequest): Conversation {
		for (const leg of ['1', '2']) {
			request.headers.set('x-leg', leg);
			const {status} = yield;
			if (status === 200) return;
			if (manner !== 'hangs up') continue;
			for (const socket of sockets) socket.resetAndDestroy();
			sockets.clear();
			// Until this side has seen it.
			await pause(20);
		}
	};

	test.each(cases)('and %s: %s is sent whole the second time', async (how, kind) => {
		[digests, manner, early] = [[], how, 1];
		stage.script = legs;
		const expected = createHash('sha256').update(Buffer.alloc(size, 'x')).digest('hex');
		const before = openFiles();
		for (let round = 0; round < 5; round++) {
			expect(await stage.gatepass.got.post(url(), {body: bodyOf(kind)}).text()).toBe('read');
		}
		expect(digests).toEqual(Array(5).fill(expected));
		await expect.poll(openFiles).toBe(before);
	});

	test.each(cases)('and %s: its second refusal of %s is delivered', async (how, kind) => {
		[manner, early] = [how, 2];
		stage.script = legs;
		const opened = openFiles();
		for (let round = 0; round < 5; round++) {
			const options = {body: bodyOf(kind), throwHttpErrors: false};
			expect((await stage.gatepass.got.post(url(), options)).statusCode).toBe(401);
		}
		await expect.poll(openFiles).toBe(opened);
	});

	test.each(['a function', 'an iterable'])('what is left of %s is not read', async kind => {
		[manner, early] = ['reads no more', 2];
		stage.script = legs;
		let [open, chunks] = [0, 0];
		const generate = async function* () {
			open += 1;
			try {
				for (let chunk = 0; chunk < 1000; chunk++) {
					chunks += 1;
					yield Buffer.alloc(100_000, 'x');
				}
			} finally {
				open -= 1;
			}
		};
		const body = kind === 'a function' ? fromFunction(generate) : {[Symbol.asyncIterator]: generate};
		const {statusCode} = await stage.gatepass.got.post(url(), {body, throwHttpErrors: false});
		expect(statusCode).toBe(401);
		await expect.poll(() => open).toBe(0);
		// got reads the first one on where it cannot be told to end.
		expect(chunks).toBeLessThan(kind === 'a function' ? 1000 : 2000);
	});
});
