/** What HTTP has besides requests and answers, over undici: HTTP/2, trailers, interim answers, Expect, upgrades. */
import {once} from 'node:events';
import {readFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import {createSecureServer, type Http2SecureServer, type ServerHttp2Stream} from 'node:http2';
import {type AddressInfo, connect, type Socket} from 'node:net';
import {text} from 'node:stream/consumers';
import {request, upgrade} from 'undici';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {z} from 'zod';
import {createGatepass, defineStrategy, type Gatepass} from '../../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../../src/testing/authority.ts';
import {failure, setUpStage} from '../scripted-stage.ts';

const stage = setUpStage();

describe('HTTP/2', () => {
	let authority: TestAuthority;
	let server: Http2SecureServer;
	let origin: string;
	let gatepass: Gatepass;
	let sessions: number;
	let seen: {leg: string; body: string}[];
	let answer: (stream: ServerHttp2Stream, leg: string) => void;

	const strategy = defineStrategy({
		name: 'legs',
		options: z.object({}),
		async *authenticate(request) {
			for (const leg of ['1', '2']) {
				request.headers.set('x-leg', leg);
				if ((yield).status === 200) return;
			}
		},
	});

	beforeAll(async () => {
		authority = await createTestAuthority();
		const own = await authority.issue('server', {subject: 'CN=localhost', hosts: ['127.0.0.1']});
		server = createSecureServer({cert: await readFile(own.certificate), key: await readFile(own.key)});
		server.on('session', session => {
			sessions += 1;
			session.on('error', () => {});
		});
		server.on('stream', async (stream, headers) => {
			stream.on('error', () => {});
			if (headers.expect !== undefined) stream.additionalHeaders({':status': 100});
			const body = await text(stream).catch(() => 'cut off');
			const leg = String(headers['x-leg']);
			seen.push({leg, body});
			answer(stream, leg);
		});
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
		origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
	});
	afterAll(async () => {
		await new Promise(resolve => server.close(resolve));
		await authority.close();
	});
	beforeEach(async () => {
		sessions = 0;
		seen = [];
		answer = (stream, leg) => {
			stream.respond({':status': leg === '1' ? 401 : 200});
			stream.end(`leg ${leg}`);
		};
		gatepass = await createGatepass({
			strategies: [strategy],
			config: {
				cache: {url: 'memory:'},
				trust: [{match: origin, ca: authority.ca, only: true}],
				hostRules: [{match: origin, strategy: 'legs'}],
			},
		});
		return () => gatepass.close();
	});
	const send = (options: object = {}) => request(origin, {dispatcher: gatepass.dispatcher, ...options});

	test('all legs, with the whole body, in one session', async () => {
		const {body} = await send({method: 'POST', body: 'payload'});
		expect(await body.text()).toBe('leg 2');
		expect(seen).toEqual([
			{leg: '1', body: 'payload'},
			{leg: '2', body: 'payload'},
		]);
		expect(sessions).toBe(1);
	});

	test('many at once', async () => {
		const answers = await Promise.all(Array.from({length: 100}, async () => (await send()).body.text()));
		expect(answers).toEqual(Array(100).fill('leg 2'));
		expect(seen).toHaveLength(200);
	});

	test('an upload that is streamed', async () => {
		const generate = async function* (): AsyncGenerator<string> {
			for (let chunk = 0; chunk < 100; chunk += 1) yield 'x'.repeat(10_000);
		};
		answer = (stream, leg) => {
			stream.respond({':status': 200});
			stream.end(`leg ${leg}`);
		};
		const {body} = await send({method: 'POST', body: generate()});
		expect(await body.text()).toBe('leg 1');
		expect(seen[0]?.body).toHaveLength(1_000_000);
	});

	test('trailers', async () => {
		answer = (stream, leg) => {
			stream.respond({':status': leg === '1' ? 401 : 200}, {waitForTrailers: true});
			stream.on('wantTrailers', () => stream.sendTrailers({'x-digest': leg}));
			stream.end('answer');
		};
		const {body, trailers} = await send();
		expect(await body.text()).toBe('answer');
		expect(trailers).toMatchObject({'x-digest': '2'});
	});

	test('Expect: the body waits until it is wanted', async () => {
		const {body} = await send({method: 'POST', body: 'payload', expectContinue: true});
		expect(await body.text()).toBe('leg 2');
		expect(seen.map(({body}) => body)).toEqual(['payload', 'payload']);
	});

	test('a stream that is reset fails its request, and no other', async () => {
		answer = (stream, leg) => {
			if (leg === '2') stream.close(2);
			else stream.respond({':status': 401}, {endStream: true});
		};
		await failure(send());
		answer = stream => {
			stream.respond({':status': 200});
			stream.end('answered');
		};
		expect(await (await send()).body.text()).toBe('answered');
	});

	test('a session that the server ends after each answer', async () => {
		answer = (stream, leg) => {
			const {session} = stream;
			stream.respond({':status': leg === '1' ? 401 : 200});
			stream.end(`leg ${leg}`, () => session?.close());
		};
		for (let round = 0; round < 3; round += 1) expect(await (await send()).body.text()).toBe('leg 2');
		expect(sessions).toBeGreaterThan(1);
	});

	test('an abort ends its stream, and leaves the session', async () => {
		const hanging = Promise.withResolvers<ServerHttp2Stream>();
		answer = (stream, leg) => {
			if (leg === '2') hanging.resolve(stream);
			else stream.respond({':status': 401}, {endStream: true});
		};
		const controller = new AbortController();
		const result = failure(send({signal: controller.signal}));
		const stream = await hanging.promise;
		const {session} = stream;
		const closed = once(stream, 'close');
		controller.abort();
		expect((await result).name).toBe('AbortError');
		await closed;
		expect(session?.destroyed).toBe(false);
	});
});

describe('HTTP/1.1', () => {
	test('trailers, of the answer that counts', async () => {
		stage.answer = ({headers}, response) => {
			response.writeHead(headers['x-leg'] === '1' ? 401 : 200, {trailer: 'x-digest'});
			response.write('answer');
			response.addTrailers({'x-digest': `of leg ${headers['x-leg']}`});
			response.end();
		};
		const {body, trailers} = await request(stage.server.url, {dispatcher: stage.gatepass.dispatcher});
		expect(await body.text()).toBe('answer');
		expect(trailers).toEqual({'x-digest': 'of leg 2'});
	});

	test('interim answers, of the leg that counts', async () => {
		stage.answer = ({headers}, response) => {
			const leg = headers['x-leg'];
			response.writeEarlyHints({link: `</${leg}.css>; rel=preload`}, () => {
				response.writeHead(leg === '1' ? 401 : 200).end('answer');
			});
		};
		const told: object[] = [];
		const {body} = await request(stage.server.url, {
			dispatcher: stage.gatepass.dispatcher,
			onInfo: ({statusCode, headers}) => told.push({statusCode, link: headers.link}),
		});
		expect(await body.text()).toBe('answer');
		expect(told).toEqual([{statusCode: 103, link: '</2.css>; rel=preload'}]);
	});

	test('Expect is what undici does not send: its own error says so', async () => {
		const before = stage.server.requests.length;
		const error = await failure(
			request(stage.server.url, {
				dispatcher: stage.gatepass.dispatcher,
				method: 'POST',
				body: 'payload',
				headers: {expect: '100-continue'},
			}),
		);
		expect(error).toMatchObject({name: 'NotSupportedError'});
		expect(stage.server.requests).toHaveLength(before);
	});
});

describe('a server that is more than HTTP', () => {
	let url: string;
	const sockets = new Set<Socket>();
	const asked: unknown[] = [];
	const server = createServer();

	beforeAll(async () => {
		server.on('connection', socket => sockets.add(socket));
		server.on('upgrade', ({headers}, socket) => {
			const leg = headers['x-leg'];
			if (leg === '1') {
				socket.end('HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
				return;
			}
			socket.write(`HTTP/1.1 101 Switching\r\nUpgrade: echo\r\nConnection: Upgrade\r\nX-Leg: ${leg}\r\n\r\n`);
			socket.pipe(socket);
		});
		server.on('connect', ({headers, url = ''}, socket: Socket) => {
			asked.push(headers['x-leg']);
			socket.write('HTTP/1.1 200 OK\r\n\r\n');
			const [host, port] = url.split(':');
			const other = connect(Number(port), host);
			for (const one of [socket, other]) sockets.add(one.on('error', () => {}));
			socket.pipe(other).pipe(socket);
		});
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
		url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
	});
	afterAll(async () => {
		for (const socket of sockets) socket.destroy();
		await new Promise(resolve => server.close(resolve));
	});

	test('an upgrade, once it is accepted', async () => {
		stage.script = async function* (request) {
			for (const leg of ['1', '2']) {
				request.headers.set('x-leg', leg);
				if ((yield).status === 101) return;
			}
		};
		const {socket, headers} = await upgrade(url, {
			dispatcher: stage.gatepass.dispatcher,
			protocol: 'echo',
		});
		expect(headers['x-leg']).toBe('2');
		socket.write('over the connection');
		const [echoed] = await once(socket, 'data');
		expect(String(echoed)).toBe('over the connection');
		socket.destroy();
	});

	test('a tunnel is none of its business: no rule, no credential', async () => {
		const {socket} = await stage.gatepass.dispatcher.connect({
			origin: url,
			path: new URL(stage.server.url).host,
		});
		socket.end('GET / HTTP/1.0\r\n\r\n');
		expect(await text(socket)).toContain('200 OK');
		expect(asked).toEqual([undefined]);
		expect(stage.begun).toBe(0);
	});
});
