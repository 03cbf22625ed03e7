import {randomBytes} from 'node:crypto';
import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import {once} from 'node:events';
import {type IncomingMessage, request as requestHttp} from 'node:http';
import {connect} from 'node:net';
import {text} from 'node:stream/consumers';
import {afterAll, beforeAll, describe, expect, it, onTestFinished} from 'vitest';
import {WebSocket, WebSocketServer} from 'ws';
import {type StartedProxy, type StartedServer, secret, startProxy, startServer} from './start-proxy.ts';

let server: StartedServer;
let other: StartedServer;
let proxy: StartedProxy;
let answer: Parameters<typeof startServer>[0];

const bearer = {authorization: `Bearer ${secret}`};

beforeAll(async () => {
	server = await startServer((request, response) => answer(request, response));
	other = await startServer((_request, response) => response.end('the other one'));
	proxy = await startProxy({
		hostRules: [
			{match: `http://127.0.0.1:${server.port}`, strategy: 'static-token', options: {token: 'the-token'}},
		],
		serve: {
			routes: {'/runs': `${server.origin}/base`, '/other': other.origin, '/gone': 'http://127.0.0.1:1'},
		},
	});
});

afterAll(async () => {
	await proxy.close();
	await server.close();
	await other.close();
});

/** A request as it is written, without a client that normalises it. */
async function ask(
	path: string,
	{
		method = 'GET',
		headers = bearer as Record<string, string | string[]>,
		body = undefined as string | undefined,
	} = {},
): Promise<IncomingMessage & {content: string}> {
	const request = requestHttp({host: '127.0.0.1', port: proxy.port, path, method, headers});
	request.end(body);
	const [response] = (await once(request, 'response')) as [IncomingMessage];
	return Object.assign(response, {content: await text(response)});
}

describe('what goes through', () => {
	it('sends method, path, query to the byte and headers, with the credential of the rule', async () => {
		answer = (_request, response) => response.end('arrived');
		const path = "/runs/a/b%2Fc?x='1'&y=%27|2|&&z=a+b%20c";
		const response = await ask(path, {method: 'DELETE', headers: {...bearer, 'x-own': 'kept'}});
		expect(response.content).toBe('arrived');
		const seen = server.requests.at(-1);
		expect(seen?.method).toBe('DELETE');
		expect(seen?.url).toBe(path.replace('/runs', '/base'));
		expect(seen?.headers).toMatchObject({authorization: 'Bearer the-token', 'x-own': 'kept'});
		expect(seen?.headers.host).toBe(`127.0.0.1:${server.port}`);
	});

	it('sends bodies and trailers back and forth', async () => {
		answer = async (request, response) => {
			const body = await text(request);
			response.writeHead(201, {'content-type': 'text/plain', trailer: 'x-sum'});
			response.write(body);
			response.addTrailers({'x-sum': String(body.length)});
			response.end();
		};
		const response = await ask('/runs/', {method: 'POST', body: 'content'});
		expect([response.statusCode, response.content, response.trailers['x-sum']]).toEqual([
			201,
			'content',
			'7',
		]);
	});

	it('sends announced trailers of requests, but for credentials in them', async () => {
		answer = async (request, response) => {
			const body = await text(request);
			response.writeHead(200, {trailer: 'x-sum'});
			response.write(`${body} ${JSON.stringify(request.trailers)}`);
			response.addTrailers({'x-sum': 'answered'});
			response.end();
		};
		const request = requestHttp({
			host: '127.0.0.1',
			port: proxy.port,
			path: "/runs/trailed?a='b'",
			method: 'PUT',
			headers: {...bearer, trailer: 'X-Checksum', 'transfer-encoding': 'chunked'},
		});
		request.write('content');
		request.addTrailers({'X-Checksum': 'abc', Authorization: 'Bearer smuggled'});
		request.end();
		const [response] = (await once(request, 'response')) as [IncomingMessage];
		expect([response.statusCode, await text(response)]).toEqual([200, 'content {"x-checksum":"abc"}']);
		expect(response.trailers).toEqual({'x-sum': 'answered'});
		const seen = server.requests.at(-1);
		expect([seen?.url, seen?.headers.authorization]).toEqual(["/base/trailed?a='b'", 'Bearer the-token']);
		const gone = requestHttp({
			host: '127.0.0.1',
			port: proxy.port,
			path: '/gone/x',
			method: 'PUT',
			headers: {...bearer, trailer: 'X-Checksum', 'transfer-encoding': 'chunked'},
		});
		gone.end('content');
		const [failed] = (await once(gone, 'response')) as [IncomingMessage];
		expect([failed.statusCode, JSON.parse(await text(failed)).code]).toEqual([502, 'ECONNREFUSED']);
	});

	it('sends a body again where the server wants a credential first', async () => {
		const {startNegotiateServer} = await import('../../src/testing/index.ts');
		const negotiate = await startNegotiateServer();
		const asking = await startProxy({
			hostRules: [{match: negotiate.url, strategy: 'kerberos-stub'}],
			serve: {routes: {'/x': negotiate.url}},
		});
		const body = 'x'.repeat(100_000);
		const response = await fetch(`${asking.url}/x/`, {
			method: 'POST',
			body,
			headers: {'x-gatepass-secret': secret},
		});
		expect(response.status).toBe(200);
		expect(negotiate.requests.length).toBe(2);
		// What proves the server is for whoever began it.
		expect(response.headers.has('www-authenticate')).toBe(false);
		await asking.close();
		await negotiate.close();
	});

	it('holds back what the other side does not read', async () => {
		const size = 64 * 1024 * 1024;
		let written = 0;
		answer = (_request, response) => {
			const chunk = randomBytes(64 * 1024);
			const more = (): void => {
				while (written < size) {
					written += chunk.length;
					if (!response.write(chunk)) {
						response.once('drain', more);
						return;
					}
				}
				response.end();
			};
			more();
		};
		const request = requestHttp({host: '127.0.0.1', port: proxy.port, path: '/runs/large', headers: bearer});
		request.end();
		const [response] = (await once(request, 'response')) as [IncomingMessage];
		// Until nothing more is written: the sockets in between are full.
		for (let before = -1; before !== written; ) {
			before = written;
			await new Promise(resolve => setTimeout(resolve, 300));
		}
		expect(written).toBeLessThan(size / 2);
		let received = 0;
		for await (const chunk of response) received += (chunk as Buffer).length;
		expect(received).toBe(size);
	});

	it('hands on the head of an answer whose content is still to come', async () => {
		const waiting = Promise.withResolvers<void>();
		answer = async (_request, response) => {
			response.writeHead(200, {'content-type': 'text/event-stream'}).flushHeaders();
			await waiting.promise;
			response.end('data: 1');
		};
		const request = requestHttp({host: '127.0.0.1', port: proxy.port, path: '/runs/events', headers: bearer});
		request.end();
		const [response] = (await once(request, 'response')) as [IncomingMessage];
		expect(response.headers['content-type']).toBe('text/event-stream');
		waiting.resolve();
		expect(await text(response)).toBe('data: 1');
	});

	it('breaks off at the server when the client goes away, and at the client when the server does', async () => {
		const closed = Promise.withResolvers<void>();
		answer = (request, response) => {
			response.write('a beginning');
			request.socket.once('close', () => closed.resolve());
		};
		const request = requestHttp({host: '127.0.0.1', port: proxy.port, path: '/runs/long', headers: bearer});
		request.end();
		const [response] = (await once(request, 'response')) as [IncomingMessage];
		response.on('error', () => {});
		request.destroy();
		await closed.promise;
		answer = (incoming, outgoing) => {
			outgoing.writeHead(200, {'content-length': '100'});
			outgoing.write('half');
			setImmediate(() => incoming.socket.destroy());
		};
		await expect(ask('/runs/half')).rejects.toThrow(/aborted/);
		answer = (_request, outgoing) => outgoing.end('well again');
		expect((await ask('/runs/')).content).toBe('well again');
	});

	it('lets WebSockets through after authentication', async () => {
		const sockets = new WebSocketServer({noServer: true});
		let authorization: string | undefined;
		server.server.once('upgrade', (request, socket, head) => {
			({authorization} = request.headers);
			sockets.handleUpgrade(request, socket, head, connected => {
				connected.on('message', message => connected.send(`back: ${message}`));
			});
		});
		const client = new WebSocket(`ws://127.0.0.1:${proxy.port}/runs/socket`, {headers: bearer});
		await once(client, 'open');
		client.send('there');
		const [message] = await once(client, 'message');
		expect(String(message)).toBe('back: there');
		expect(authorization).toBe('Bearer the-token');
		client.close();
		await once(client, 'close');
		sockets.close();
	});

	it('hands an upgrade that the server refuses back as it is', async () => {
		answer = (_request, response) => response.end('no sockets here');
		const client = new WebSocket(`ws://127.0.0.1:${proxy.port}/runs/socket`, {headers: bearer});
		const [, response] = (await once(client, 'unexpected-response')) as [unknown, IncomingMessage];
		expect([response.statusCode, await text(response)]).toEqual([200, 'no sockets here']);
	});

	it('answers what asks for HTTP/2 in passing in HTTP/1.1', async () => {
		answer = (_request, response) => response.end('arrived');
		const headers = {
			...bearer,
			connection: 'Upgrade, HTTP2-Settings',
			upgrade: 'h2c',
			'http2-settings': 'AAMAAABk',
		};
		const response = await ask('/runs/', {headers});
		expect(response.content).toBe('arrived');
		expect(server.requests.at(-1)?.headers).not.toHaveProperty('http2-settings');
	});
});

describe('what a server says of its own URLs', () => {
	const headersOf = async (
		headers: Record<string, string | string[]>,
	): Promise<IncomingMessage['headers']> => {
		answer = (_request, response) => response.writeHead(200, headers).end();
		return (await ask('/runs/x/y')).headers;
	};

	it.each([
		['/base/z?q=1#f', '/runs/z?q=1#f'],
		['z', 'z'],
		['../up', '../up'],
	])('Location: %s', async (location, expected) => {
		const {location: written} = await headersOf({location});
		expect(written?.replace(proxy.url, '')).toBe(expected);
	});

	it('leads by another route, to another server, or outside of the route', async () => {
		expect(await headersOf({location: `${other.origin}/a`})).toMatchObject({
			location: `${proxy.url}/other/a`,
		});
		expect(await headersOf({location: 'https://elsewhere.test/a'})).toMatchObject({
			location: 'https://elsewhere.test/a',
		});
		expect(await headersOf({location: '/outside'})).toMatchObject({location: `${server.origin}/outside`});
	});

	it('Link and Set-Cookie', async () => {
		const {link, 'set-cookie': cookies} = await headersOf({
			link: `<${server.origin}/base/p?n=2>; rel="next", </base/p>; rel=first`,
			'set-cookie': ['a=1; Path=/base/x; Domain=example.org; HttpOnly; Secure', 'b=2; SameSite=None; Secure'],
		});
		expect(link).toBe(`<${proxy.url}/runs/p?n=2>; rel="next", <${proxy.url}/runs/p>; rel=first`);
		expect(cookies).toEqual(['a=1; HttpOnly; Path=/runs/x', 'b=2; Path=/runs']);
	});

	it('names the headers of the answer as programs know them that compare letters', async () => {
		answer = (_request, response) =>
			response.writeHead(200, {'content-length': '4', 'x-own': '1'}).end('body');
		const {rawHeaders} = await ask('/runs/');
		expect(rawHeaders).toEqual(expect.arrayContaining(['Content-Length', 'x-own']));
		expect(rawHeaders).not.toContain('content-length');
	});

	it('leaves out what the server repeats of the credential', async () => {
		const headers = await headersOf({
			authorization: 'Bearer the-token',
			'www-authenticate': 'Negotiate YWJj',
			'x-fine': 'yes',
		});
		expect(headers).not.toHaveProperty('authorization');
		expect(headers).not.toHaveProperty('www-authenticate');
		expect(headers['x-fine']).toBe('yes');
	});
});

describe('who is served', () => {
	it.each([
		['Bearer', {authorization: `Bearer ${secret}`}],
		['Basic, as password', {authorization: `Basic ${Buffer.from(`any:${secret}`).toString('base64')}`}],
		['Basic, as name', {authorization: `Basic ${Buffer.from(`${secret}:`).toString('base64')}`}],
		['X-Gatepass-Secret', {'x-gatepass-secret': secret}],
	])('%s', async (_name, headers) => {
		answer = (_request, response) => response.end();
		expect((await ask('/runs/', {headers})).statusCode).toBe(200);
		const {headers: seen} = server.requests.at(-1) as IncomingMessage;
		expect(JSON.stringify(seen)).not.toContain(secret);
		await ask('/other/', {headers});
		expect(JSON.stringify(other.requests.at(-1)?.headers)).not.toContain(secret);
		expect(other.requests.at(-1)?.headers).not.toHaveProperty('authorization');
	});

	it("sends the client's own credential where it sent it, and replaces it where a rule has one", async () => {
		const headers = {'x-gatepass-secret': secret, authorization: 'Bearer own'};
		await ask('/other/', {headers});
		expect(other.requests.at(-1)?.headers.authorization).toBe('Bearer own');
		await ask('/runs/', {headers});
		expect(server.requests.at(-1)?.headers.authorization).toBe('Bearer the-token');
	});

	it('refuses without the secret and with a wrong one, with a hint', async () => {
		const missing = await ask('/runs/', {headers: {}});
		expect([missing.statusCode, missing.headers['www-authenticate']]).toEqual([
			401,
			expect.stringContaining('Basic'),
		]);
		expect(missing.headers['content-type']).toBe('application/problem+json');
		expect(JSON.parse(missing.content)).toMatchObject({
			code: 'secret-missing',
			status: 401,
			title: 'Unauthorized',
			hint: expect.stringContaining('GATEPASS_SECRET'),
		});
		const wrong = await ask('/runs/', {headers: {authorization: 'Bearer wrong'}});
		expect([wrong.statusCode, JSON.parse(wrong.content).code]).toEqual([401, 'secret-wrong']);
	});

	it('limits how often a wrong secret is shown, and serves who has the right one', async () => {
		const limited = await startProxy({serve: {routes: {'/other': other.origin}}});
		const statuses: number[] = [];
		for (let count = 0; count < 12; count += 1) {
			const {status} = await fetch(`${limited.url}/other/`, {headers: {authorization: `Bearer ${count}`}});
			statuses.push(status);
		}
		expect(statuses.slice(0, 10)).toEqual(new Array(10).fill(401));
		expect(statuses.slice(10)).toEqual([429, 429]);
		expect((await fetch(`${limited.url}/other/`, {headers: bearer})).status).toBe(200);
		await limited.close();
	});
});

describe('what cannot be answered', () => {
	const raw = async (request: string): Promise<string> => {
		const socket = connect(proxy.port, '127.0.0.1');
		socket.on('error', () => {});
		socket.write(request);
		return text(socket);
	};
	const host = () => `Host: 127.0.0.1:${proxy.port}\r\nAuthorization: Bearer ${secret}\r\n`;

	it.each([
		[
			'two lengths',
			() => `POST /runs/ HTTP/1.1\r\n${host()}Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde`,
		],
		[
			'a length and chunks',
			() =>
				`POST /runs/ HTTP/1.1\r\n${host()}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
		],
		[
			'chunks in disguise',
			() => `POST /runs/ HTTP/1.1\r\n${host()}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
		],
		['a bare line break', () => `GET /runs/ HTTP/1.1\r\n${host()}X: a\nY: b\r\n\r\n`],
		['a blank before the colon', () => `GET /runs/ HTTP/1.1\r\n${host()}X : a\r\n\r\n`],
		['a folded header', () => `GET /runs/ HTTP/1.1\r\nHost: 127.0.0.1:${proxy.port}\r\n X: a\r\n\r\n`],
		['no host', () => 'GET /runs/ HTTP/1.1\r\n\r\n'],
		['two hosts', () => `GET /runs/ HTTP/1.1\r\n${host()}Host: other\r\n\r\n`],
		[
			'a wrong chunk',
			() => `POST /runs/ HTTP/1.1\r\n${host()}Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n`,
		],
		['a negative length', () => `POST /runs/ HTTP/1.1\r\n${host()}Content-Length: -1\r\n\r\n`],
		['no version', () => `GET /runs/\r\n${host()}\r\n`],
		['a fragment', () => `GET /runs/#x HTTP/1.1\r\n${host()}Connection: close\r\n\r\n`],
		['bytes that are no ASCII', () => `GET /runs/\u00ff HTTP/1.1\r\n${host()}Connection: close\r\n\r\n`],
		['a backslash', () => `GET /runs/\\..\\x HTTP/1.1\r\n${host()}Connection: close\r\n\r\n`],
		['not HTTP', () => '\u0016\u0003\u0001\u0002\u0000'],
	])('%s', async (_name, request) => {
		const before = server.requests.length;
		answer = (incoming, response) => {
			incoming.resume();
			response.end();
		};
		const reply = await raw(request());
		if (reply !== '') expect(reply).toMatch(/^HTTP\/1.1 (?:400|421|505) .*"hint": "\w/s);
		if (_name === 'no host') expect(reply).toContain('"code": "host-missing"');
		if (!/wrong chunk/.test(_name)) expect(server.requests.length).toBe(before);
		expect((await ask('/runs/')).statusCode).toBe(200);
	});

	it('a route that is not there, also by dots, and a server that is not there', async () => {
		const unknown = await ask('/nowhere');
		expect([unknown.statusCode, JSON.parse(unknown.content).code]).toEqual([404, 'route-unknown']);
		expect((await ask('/runsx')).statusCode).toBe(404);
		expect((await ask('/runs/../secret')).statusCode).toBe(404);
		expect((await ask('/runs/%2e%2e/secret')).statusCode).toBe(404);
		const gone = await ask('/gone/x');
		expect([gone.statusCode, JSON.parse(gone.content).code]).toEqual([502, 'ECONNREFUSED']);
		expect(JSON.parse(gone.content).hint).toContain('Nothing listens there');
	});

	it('TRACE, which would show the credential', async () => {
		expect((await ask('/runs/', {method: 'TRACE'})).statusCode).toBe(405);
	});

	it('tells why a rule has no credential, without a secret', async () => {
		const failing = await startProxy({
			hostRules: [
				{match: `http://127.0.0.1:${server.port}`, strategy: 'wlcg-token', options: {file: '/nowhere/token'}},
			],
			serve: {routes: {'/runs': server.origin}},
		});
		const response = await fetch(`${failing.url}/runs/`, {headers: bearer});
		expect(response.status).toBe(502);
		expect(await response.json()).toMatchObject({
			code: 'ERR_GATEPASS_CREDENTIAL_UNAVAILABLE',
			detail: expect.stringContaining('/nowhere/token'),
		});
		const health = await fetch(`${failing.url}/-/health`);
		expect([health.status, await health.json()]).toEqual([503, {status: 'fail'}]);
		await failing.close();
	});
});

describe('its own pages', () => {
	it('tells a monitor without the secret only whether all is well', async () => {
		const response = await ask('/-/health', {headers: {}});
		expect([response.statusCode, JSON.parse(response.content)]).toEqual([200, {status: 'pass'}]);
		expect(JSON.parse((await ask('/-/health')).content)).toEqual({status: 'pass', unusable: []});
		for (const page of ['/-/', '/-/metrics', '/-/status.json', '/-/status.js']) {
			expect((await ask(page, {headers: {}})).statusCode).toBe(401);
			expect((await ask(page)).statusCode).toBe(200);
		}
	});

	it('counts in the form of Prometheus, and shows no secret', async () => {
		answer = (_request, response) => response.end();
		await ask('/runs/?signed=a-query');
		const {content} = await ask('/-/metrics');
		expect(content).toMatch(/^gatepass_requests_total\{form="reverse",status="200"\} \d+$/m);
		expect(content).toMatch(/^gatepass_request_duration_seconds_bucket\{form="reverse",le="\+Inf"\} \d+$/m);
		expect(content).toMatch(/^gatepass_credential_usable\{.*strategy="static-token"\} 1$/m);
		const {content: status} = await ask('/-/status.json');
		expect(JSON.parse(status).health).toBe('ok');
		expect(JSON.parse(status).hops[0]).toMatchObject({status: 200, legs: 1});
		const lines = JSON.stringify(proxy.lines());
		for (const shown of [content, status, lines]) {
			expect(shown).not.toContain('the-token');
			expect(shown).not.toContain(secret);
			expect(shown).not.toContain('a-query');
		}
	});

	it('keeps web pages out', async () => {
		const port = proxy.port;
		const cases: [Record<string, string>, number][] = [
			[{...bearer, host: `evil.test:${port}`}, 421],
			[{...bearer, host: 'localhost'}, 421],
			[{...bearer, origin: 'https://evil.test'}, 403],
			[{...bearer, origin: 'null'}, 403],
			[{...bearer, 'sec-fetch-site': 'cross-site'}, 403],
			[{...bearer, 'sec-fetch-site': 'same-site'}, 403],
			[{...bearer, 'sec-fetch-site': 'none'}, 200],
			[{...bearer, host: `localhost:${port}`, origin: `http://localhost:${port}`}, 200],
		];
		answer = (_request, response) => response.end();
		for (const [headers, status] of cases) {
			for (const path of ['/runs/', '/-/status.json']) {
				expect((await ask(path, {headers})).statusCode).toBe(status);
			}
		}
		expect((await ask('/-/health', {headers: {origin: 'https://evil.test'}})).statusCode).toBe(403);
	});
});

describe('redirects that are followed', () => {
	it('asks the next server by its own rule, without what the client sent for the first', async () => {
		const following = await startProxy({
			hostRules: [
				{match: `http://127.0.0.1:${server.port}`, strategy: 'static-token', options: {token: 'the-token'}},
				{match: `http://localhost:${other.port}`, strategy: 'static-token', options: {token: 'another'}},
			],
			serve: {redirects: 'follow', routes: {'/runs': server.origin}},
		});
		answer = (_request, response) =>
			response.writeHead(302, {location: `http://localhost:${other.port}/there?x=1`}).end('moved');
		const headers = {'x-gatepass-secret': secret, cookie: 'a=1', 'x-own': 'kept'};
		const resends: unknown[] = [];
		const listen = (leg: unknown): void => void resends.push((leg as {readonly resends: number}).resends);
		subscribe('gatepass:leg', listen);
		onTestFinished(() => void unsubscribe('gatepass:leg', listen));
		const response = await fetch(`${following.url}/runs/`, {headers});
		expect([response.status, await response.text()]).toEqual([200, 'the other one']);
		expect(resends).toEqual([0, 1]);
		const seen = other.requests.at(-1);
		expect([seen?.url, seen?.headers.authorization, seen?.headers.cookie]).toEqual([
			'/there?x=1',
			'Bearer another',
			undefined,
		]);
		// This machine, which no rule names by this port's name; and where clouds keep their credentials.
		for (const location of ['http://169.254.169.254/latest/meta-data', 'http://[::1]:1/']) {
			answer = (_request, outgoing) => outgoing.writeHead(302, {location}).end();
			expect((await fetch(`${following.url}/runs/`, {headers, redirect: 'manual'})).status).toBe(302);
		}
		await following.close();
	});
});
