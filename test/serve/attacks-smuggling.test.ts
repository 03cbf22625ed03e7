/**
 * Requests that two readers would read in two ways, in each form: the proxy refuses them, or sends on exactly one
 * request that can be read in one way only. And answers of that kind, which must not become somebody else's.
 */
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import {type AddressInfo, connect, createServer, type Server, type Socket} from 'node:net';
import {text} from 'node:stream/consumers';
import {connect as connectTls, createServer as createTlsServer} from 'node:tls';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {type StartedProxy, secret, startProxy} from './start-proxy.ts';

/** A server that keeps every byte, and answers the first request of each connection, when it has all of it. */
interface Recorder {
	readonly server: Server;
	readonly port: number;
	/** What has come since this was asked last, when all its connections have ended. */
	take(): Promise<string>;
}

const fine = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok';
let reply: (path: string) => string = () => fine;

async function startRecorder(create: (listener: (socket: Socket) => void) => Server): Promise<Recorder> {
	let seen = '';
	const open = new Set<Socket>();
	const server = create(socket => {
		let own = '';
		open.add(socket.on('error', () => {}).once('close', () => open.delete(socket)));
		socket.on('data', data => {
			own += data.toString('latin1');
			seen += data.toString('latin1');
			const [, path = '', head = '', body = ''] =
				/^[A-Z]+ (\S+) HTTP([\s\S]*?\r\n)\r\n([\s\S]*)$/.exec(own) ?? [];
			const [, length = '0'] = /^content-length: (\d+)\r$/im.exec(head) ?? [];
			const isWhole = /^transfer-encoding:/im.test(head)
				? body.endsWith('\r\n0\r\n\r\n')
				: body.length >= Number(length);
			if (path !== '' && isWhole) socket.end(reply(path), 'latin1');
		});
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	return {
		server,
		port: (server.address() as AddressInfo).port,
		async take() {
			while (open.size > 0) await Promise.all([...open].map(socket => once(socket, 'close')));
			const taken = seen;
			seen = '';
			return taken;
		},
	};
}

let authority: TestAuthority;
let plain: Recorder;
let secure: Recorder;
let proxy: StartedProxy;

beforeAll(async () => {
	authority = await createTestAuthority();
	const files = await authority.issue('server', {subject: 'CN=localhost', hosts: ['localhost']});
	plain = await startRecorder(listener => createServer(listener));
	secure = await startRecorder(listener =>
		createTlsServer({cert: readFileSync(files.certificate), key: readFileSync(files.key)}, listener),
	);
	const origins = [`http://localhost:${plain.port}`, `https://localhost:${secure.port}`];
	proxy = await startProxy({
		trust: [{match: origins[1] as string, ca: authority.ca, only: true}],
		hostRules: origins.map(match => ({match, strategy: 'static-token', options: {token: 'the-token'}})),
		serve: {forward: true, routes: {'/api': origins[0] as string}},
	});
});
afterAll(async () => {
	await proxy?.close();
	for (const {server} of [plain, secure]) server?.close();
	await authority?.close();
});

const basic = `Basic ${Buffer.from(`gatepass:${secret}`).toString('base64')}`;

/** How a request is written in one form, and the way to whoever reads it. */
interface Form {
	readonly name: string;
	readonly recorder: () => Recorder;
	/** A request line's target for a path, the host, and the headers that open the proxy and close the connection. */
	readonly target: (path: string) => string;
	readonly host: () => string;
	readonly pass: string;
	readonly open: () => Promise<Socket>;
}

const direct = async (): Promise<Socket> => connect(proxy.port, '127.0.0.1').on('error', () => {});

async function tunnel(port: number): Promise<Socket> {
	const socket = await direct();
	const place = `localhost:${port}`;
	socket.write(`CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\nProxy-Authorization: ${basic}\r\n\r\n`);
	await new Promise(resolve => socket.once('data', resolve));
	return socket;
}

const forms: readonly Form[] = [
	{
		name: 'the reverse form',
		recorder: () => plain,
		target: path => `/api${path}`,
		host: () => `127.0.0.1:${proxy.port}`,
		pass: `Connection: close\r\nX-Gatepass-Secret: ${secret}\r\n`,
		open: direct,
	},
	{
		name: 'the forward form',
		recorder: () => plain,
		target: path => `http://localhost:${plain.port}${path}`,
		host: () => `localhost:${plain.port}`,
		pass: `Connection: close\r\nProxy-Authorization: ${basic}\r\n`,
		open: direct,
	},
	{
		name: 'a tunnel with plain HTTP',
		recorder: () => plain,
		target: path => path,
		host: () => `localhost:${plain.port}`,
		pass: 'Connection: close\r\n',
		open: () => tunnel(plain.port),
	},
	{
		name: 'a tunnel that is opened',
		recorder: () => secure,
		target: path => path,
		host: () => `localhost:${secure.port}`,
		pass: 'Connection: close\r\n',
		async open() {
			const socket = await tunnel(secure.port);
			return connectTls({socket, servername: 'localhost', ca: proxy.root}).on('error', () => {});
		},
	},
];

/** A request whose body would be a second request to who reads the length in the other way. */
type Written = (form: Form) => string;
const second = (form: Form): string =>
	`GET ${form.target('/smuggled')} HTTP/1.1\r\nHost: ${form.host()}\r\n\r\n`;
const post =
	(headers: string, body?: (form: Form) => string): Written =>
	form =>
		`POST ${form.target('/first')} HTTP/1.1\r\nHost: ${form.host()}\r\n${form.pass}${headers}\r\n${(body ?? second)(form)}`;
const chunked = (body: string): Written =>
	post('Transfer-Encoding: chunked\r\n', form => `${body}0\r\n\r\n${second(form)}`);
const line =
	(written: (form: Form) => string): Written =>
	form =>
		`${written(form)}\r\nHost: ${form.host()}\r\n${form.pass}\r\n`;

/** What stands behind it would be data of the other protocol to one, and a body to the other. */
const upgrade =
	(length: string): Written =>
	form =>
		`GET ${form.target('/first')} HTTP/1.1\r\nHost: ${form.host()}\r\n${form.pass}Connection: Upgrade\r\nUpgrade: websocket\r\n${length}\r\n${second(form)}`;

const refused: readonly [name: string, request: Written][] = [
	['two lengths', post('Content-Length: 0\r\nContent-Length: 44\r\n')],
	['the same length twice', post('Content-Length: 3\r\nContent-Length: 3\r\n', () => 'abc')],
	['two lengths in one header', post('Content-Length: 0, 44\r\n')],
	['a length with a sign', post('Content-Length: +0\r\n')],
	['a negative length', post('Content-Length: -1\r\n')],
	['a length in hexadecimal', post('Content-Length: 0x0\r\n')],
	['a length with a blank in it', post('Content-Length: 4 4\r\n')],
	['no length where one is named', post('Content-Length: \r\n')],
	['a length beyond all numbers', post('Content-Length: 18446744073709551616\r\n')],
	['a length and chunks', post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', () => '0\r\n\r\n')],
	['chunks and a length', post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', () => '0\r\n\r\n')],
	['chunks that are not the last coding', post('Transfer-Encoding: chunked, identity\r\n')],
	['chunks of chunks', post('Transfer-Encoding: chunked, chunked\r\n', () => '0\r\n\r\n')],
	['an unknown coding', post('Transfer-Encoding: xchunked\r\n')],
	['a coding in quotes', post('Transfer-Encoding: "chunked"\r\n')],
	['a coding behind a control character', post('Transfer-Encoding: \u000bchunked\r\n')],
	['identity, which is no coding any more', post('Transfer-Encoding: identity\r\n')],
	['a blank before the colon', post('Transfer-Encoding : chunked\r\n')],
	['a tab before the colon', post('Content-Length\t: 44\r\n')],
	['a folded header', post('X-Own: a\r\n Content-Length: 44\r\n')],
	['a folded coding', post('Transfer-Encoding:\r\n chunked\r\n')],
	['a bare line feed', post('X-Own: a\nContent-Length: 44\r\n')],
	['a bare carriage return', post('X-Own: a\rContent-Length: 44\r\n')],
	['a zero byte', post('X-Own: a\u0000b\r\n')],
	['a header without a name', post(': 44\r\n')],
	['a header without a colon', post('Content-Length\r\n')],
	['a name with a blank in it', post('Content Length: 44\r\n')],
	[
		'lines that end with line feeds',
		form => line(({target}) => `GET ${target('/first')} HTTP/1.1`)(form).replaceAll('\r\n', '\n'),
	],
	['two hosts', line(({target}) => `GET ${target('/first')} HTTP/1.1\r\nHost: other.test`)],
	[
		'chunks in HTTP/1.0',
		form => post('Transfer-Encoding: chunked\r\n', () => '0\r\n\r\n')(form).replace('HTTP/1.1', 'HTTP/1.0'),
	],
	['a version of two digits', line(({target}) => `GET ${target('/first')} HTTP/1.10`)],
	['a second version', line(({target}) => `GET ${target('/first')} HTTP/1.1 HTTP/1.1`)],
	['no version', line(({target}) => `GET ${target('/first')}`)],
	['a backslash', line(({target}) => `GET ${target('/first\\..\\smuggled')} HTTP/1.1`)],
	['a fragment', line(({target}) => `GET ${target('/first#/smuggled')} HTTP/1.1`)],
	['an upgrade with a length', upgrade('Content-Length: 44\r\n')],
	['an upgrade with chunks', upgrade('Transfer-Encoding: chunked\r\n')],
	['TRACE', line(({target}) => `TRACE ${target('/first')} HTTP/1.1`)],
];

/** What is wrong comes when the head has been sent on: the server must not take it for the end of a body. */
const brokenOff: readonly [name: string, request: Written][] = [
	['a size with a prefix', chunked('0x3\r\nabc\r\n')],
	['a size with a sign', chunked('+3\r\nabc\r\n')],
	['a size with an underscore', chunked('0_3\r\nabc\r\n')],
	['a negative size', chunked('-3\r\nabc\r\n')],
	['a size that is none', chunked('zz\r\nabc\r\n')],
	['a size beyond all numbers', chunked('fffffffffffffffff\r\nabc\r\n')],
	['a size that ends with a line feed', chunked('3\nabc\r\n')],
	['an extension with a line feed', chunked('3;a\nb\r\nabc\r\n')],
	['data that ends with a line feed', chunked('3\r\nabc\n')],
	['data that is longer than its size', chunked('3\r\nabcdef\r\n')],
	['a length behind the last chunk', chunked('3\r\nabc\r\n0\r\nContent-Length: 44\r\n\r\n')],
	['data that is shorter than its size', chunked('5\r\nabc\r\n')],
];

interface Outcome {
	/** Status of each answer. */
	readonly statuses: string[];
	readonly seen: string;
	/** Of what the server has seen. */
	readonly lines: string[];
}

/** @param isOver whether there is nobody who closes the connection. */
async function send(form: Form, written: string, isOver = false): Promise<Outcome> {
	await form.recorder().take();
	const socket = await form.open();
	socket.write(written, 'latin1');
	if (isOver) socket.end();
	const answer = await text(socket);
	const seen = await form.recorder().take();
	return {
		statuses: [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status = '']) => status),
		seen,
		lines: [...seen.matchAll(/^[A-Z]+ (\S+) HTTP\/[\d.]+\r$/gm)].map(([, path = '']) => path),
	};
}

/** The body `abc`, with one length. */
function expectOneBody(seen: string): void {
	const [head = '', ...body] = seen.split(/(?<=\r\n)\r\n/);
	const lengths = head
		.match(/^(?:content-length|transfer-encoding): .*$/gim)
		?.map(line => line.trim().toLowerCase());
	const rest = body.join('\r\n');
	expect([lengths, rest]).toEqual(
		rest === 'abc'
			? [['content-length: 3'], rest]
			: [['transfer-encoding: chunked'], '3\r\nabc\r\n0\r\n\r\n'],
	);
}

describe.each(forms)('by $name', form => {
	it.each(refused)('%s: is refused', async (_name, request) => {
		const {statuses, lines} = await send(form, request(form));
		expect([statuses.length, lines]).toEqual([1, []]);
		expect(statuses[0]).toMatch(/^(?:400|405|421|505)$/);
	});

	it.each(brokenOff)('%s: is broken off', async (_name, request) => {
		const {statuses, seen, lines} = await send(form, request(form));
		expect(lines.length).toBeLessThanOrEqual(1);
		expect(seen).not.toContain('smuggled');
		// The chunk that ends a body is not sent.
		expect(seen).not.toMatch(/^0\r\n\r\n/m);
		expect(statuses.length).toBeLessThanOrEqual(1);
	});

	it('extensions and trailers of chunks end here', async () => {
		const body = '3;a=b;c="d"\r\nabc\r\n0;e\r\nAuthorization: Bearer own\r\nX-Own: 1\r\n\r\n';
		const {statuses, seen, lines} = await send(
			form,
			post('Transfer-Encoding: chunked\r\n', () => body)(form),
		);
		expect([statuses, lines]).toEqual([['200'], ['/first']]);
		expect(seen).not.toMatch(/;|X-Own|Bearer own/i);
		expectOneBody(seen);
	});

	it('what the connection is told to keep to itself changes neither length nor credential', async () => {
		const connection = 'Connection: Content-Length, Transfer-Encoding, Host, Authorization, X-Own\r\n';
		const headers = `${connection}Content-Length: 3\r\nX-Own: 1\r\n`;
		const {statuses, seen, lines} = await send(form, post(headers, () => 'abc')(form));
		expect([statuses, lines]).toEqual([['200'], ['/first']]);
		expect(seen).not.toContain('X-Own');
		expect(seen).toMatch(/^authorization: Bearer the-token\r$/im);
		expect(seen).toMatch(/^host: localhost:\d+\r$/im);
		expectOneBody(seen);
	});

	it('a method in lower case is another one', async () => {
		const written = line(({target}) => `get ${target('/first')} HTTP/1.1`)(form);
		// In a tunnel that could hold anything, this is not taken for HTTP: it goes as it is, without a credential.
		const isTunnelled = form.name === 'a tunnel with plain HTTP';
		const {statuses, seen} = await send(form, written, isTunnelled);
		expect([statuses, seen]).toEqual(isTunnelled ? [[], written] : [['400'], '']);
	});

	it('two requests at once are two, in their order', async () => {
		const first = line(({target}) => `GET ${target('/first')} HTTP/1.1`)(form).replace(
			'Connection: close\r\n',
			'',
		);
		const next = line(({target}) => `GET ${target('/next')} HTTP/1.1`)(form);
		const {statuses, seen, lines} = await send(form, first + next);
		expect([statuses, lines.toSorted()]).toEqual([
			['200', '200'],
			['/first', '/next'],
		]);
		expect(seen.match(/^authorization: Bearer the-token\r$/gim)?.length).toBe(2);
	});

	it('encoded line breaks stay encoded', async () => {
		const path = '/first%0d%0aX-Own:%201%0d%0a%0d%0aGET%20/smuggled?a=%0d%0ab';
		const {statuses, lines} = await send(form, line(({target}) => `GET ${target(path)} HTTP/1.1`)(form));
		expect([statuses, lines]).toEqual([['200'], [path]]);
	});
});

describe('a target that is another than the host', () => {
	const [reverse, forward, inside, opened] = forms as [Form, Form, Form, Form];
	const ask = (target: string, host: string, pass: string): string =>
		`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${pass}\r\n`;

	it('a whole URL counts, whatever Host says, and the server is told its own name', async () => {
		const {statuses, seen} = await send(forward, ask(forward.target('/first'), 'evil.test', forward.pass));
		expect(statuses).toEqual(['200']);
		expect(seen).toMatch(new RegExp(`^host: localhost:${plain.port}\r$`, 'im'));
		expect(seen).not.toContain('evil.test');
	});

	it('the secret of the one form opens no other', async () => {
		const whole = ask(forward.target('/first'), reverse.host(), reverse.pass);
		expect((await send(reverse, whole)).statuses).toEqual(['407']);
		const path = ask(reverse.target('/first'), reverse.host(), forward.pass);
		expect((await send(reverse, path)).statuses).toEqual(['401']);
	});

	it.each([
		['evil.test', '421'],
		['localhost', '421'],
		['localhost:1', '421'],
		['localhost@evil.test', '421'],
		['localhost/..', '421'],
		['localhost, evil.test', '421'],
		['', '421'],
	])('inside of a tunnel, and by a path, Host: %s is refused', async (host, status) => {
		for (const form of [reverse, inside, opened]) {
			const {statuses, lines} = await send(form, ask(form.target('/first'), host, form.pass));
			expect([statuses, lines]).toEqual([[status], []]);
		}
	});

	it.each(['http://evil.test/first', '@evil.test/first', '.evil.test/first', ':1@evil.test/'])(
		'%s, which is no path, gets no credential inside of a tunnel',
		async target => {
			const {statuses, lines} = await send(opened, ask(target, opened.host(), opened.pass));
			expect([statuses, lines]).toEqual([['400'], []]);
			// This is not taken for HTTP, and goes to the server of the tunnel as it is.
			const {seen} = await send(inside, ask(target, inside.host(), inside.pass), true);
			expect(seen).toBe(ask(target, inside.host(), inside.pass));
		},
	);

	it('a tunnel within a tunnel is refused', async () => {
		for (const form of [inside, opened]) {
			const first = form === inside ? ask('/first', form.host(), '') : '';
			const asked = `CONNECT ${form.host()} HTTP/1.1\r\nHost: ${form.host()}\r\n\r\n`;
			const {statuses, lines} = await send(form, first + asked);
			expect([statuses.at(-1), lines]).toEqual(['405', form === inside ? ['/first'] : []]);
		}
	});

	it('//evil.test/first is a path', async () => {
		for (const form of [inside, opened]) {
			const {seen, lines} = await send(form, ask('//evil.test/first', form.host(), form.pass));
			expect(lines).toEqual(['//evil.test/first']);
			expect(seen).toMatch(/^host: localhost:\d+\r$/im);
		}
	});
});

describe('an answer that can be read in two ways', () => {
	const [reverse] = forms as [Form];
	const forged = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged';
	const ask = (path: string): string =>
		`GET /api${path} HTTP/1.1\r\nHost: ${reverse.host()}\r\n${reverse.pass}\r\n`;

	it.each([
		['two lengths', `HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 45\r\n\r\n${forged}`],
		[
			'a length and chunks',
			`HTTP/1.1 200 OK\r\nContent-Length: 45\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${forged}`,
		],
		['a blank before the colon', `HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n${forged}`],
		['a bare carriage return', `HTTP/1.1 200 OK\r\nX-Own: a\rContent-Length: 0\r\n\r\n${forged}`],
		['a chunk of no size', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n${forged}`],
		['more than its length', `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok${forged}`],
		['a second answer at once', `${fine}${forged}`],
		['a body where there is none', `HTTP/1.1 204 No Content\r\nContent-Length: 45\r\n\r\n${forged}`],
	])('%s: the next request gets none of it', async (_name, ambiguous) => {
		reply = path => (path === '/bad' ? ambiguous : fine);
		const socket = await reverse.open();
		socket.write(ask('/bad'));
		await new Promise(resolve => socket.once('data', resolve).once('close', resolve));
		socket.destroy();
		for (let count = 0; count < 3; count += 1) {
			const next = await reverse.open();
			next.write(ask('/next'));
			const answer = await text(next);
			expect(answer).toMatch(/^HTTP\/1\.1 200/);
			expect(answer).toMatch(/ok$/);
			expect(answer).not.toContain('forged');
		}
		reply = () => fine;
	});
});
