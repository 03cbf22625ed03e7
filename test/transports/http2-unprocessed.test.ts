/** HTTP/2 says of a request that it was not worked on (RFC 9113 section 8.7): undici sends it again, a POST too, and once. */
import {readFile} from 'node:fs/promises';
import {
	constants,
	createSecureServer,
	createServer,
	type Http2Server,
	type IncomingHttpHeaders,
	type ServerHttp2Session,
	type ServerHttp2Stream,
} from 'node:http2';
import type {AddressInfo} from 'node:net';
import {text} from 'node:stream/consumers';
import {Agent, type Dispatcher, request as undiciRequest} from 'undici';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';

let authority: TestAuthority;
const servers: Http2Server[] = [];
/** By the scheme: over plain http, a dispatcher of the caller's is what sends. */
const urls: Record<string, string> = {};
let gatepass: Gatepass;
let handled: string[];
let seen: number;
let credentials: Set<unknown>;
const sessions = new Set<ServerHttp2Session>();
/** What the server does instead of an answer; `undefined`: it answers. */
let refusals: ((stream: ServerHttp2Stream) => void)[];

function serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
	stream.on('error', () => {});
	seen += 1;
	credentials.add(headers.authorization);
	const refuse = refusals.shift();
	if (refuse !== undefined) {
		refuse(stream);
		return;
	}
	void text(stream).then(body => {
		handled.push(body);
		stream.respond({':status': 200});
		stream.end('answered');
	});
}

beforeAll(async () => {
	authority = await createTestAuthority();
	const own = await authority.issue('server', {subject: 'CN=localhost', hosts: ['127.0.0.1']});
	const files = {cert: await readFile(own.certificate), key: await readFile(own.key)};
	for (const [scheme, server] of Object.entries({http: createServer(), https: createSecureServer(files)})) {
		server.on('session', session => sessions.add(session.on('error', () => {})));
		server.on('stream', serve);
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
		servers.push(server);
		urls[scheme] = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}/runs`;
	}
});
afterAll(async () => {
	for (const session of sessions) session.destroy();
	for (const server of servers) server.close();
	await authority.close();
});
beforeEach(async () => {
	handled = [];
	seen = 0;
	refusals = [];
	credentials = new Set();
	callers = new Agent({allowH2: true, useH2c: true} as Agent.Options);
	const match = Object.values(urls).map(url => new URL(url).origin);
	gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			trust: [{match: new URL(urls.https as string).origin, ca: authority.ca, only: true}],
			hostRules: [{match, strategy: 'static-token', options: {token: 'CANARY'}}],
		},
	});
});
afterEach(async () => {
	await gatepass.close();
	await callers.close();
});

let callers: Agent;
const post = async (url: string | undefined, dispatcher: unknown, body: string): Promise<string> =>
	(
		await undiciRequest(url as string, {method: 'POST', body, dispatcher: dispatcher as Dispatcher})
	).body.text();

const clients: Record<string, (body: string) => Promise<string>> = {
	'the dispatcher': body => post(urls.https, gatepass.dispatcher, body),
	'a dispatcher of the caller’s': body => post(urls.http, gatepass.intercept(callers), body),
};

const unprocessed: Record<string, (stream: ServerHttp2Stream) => void> = {
	'refuses the stream': stream => stream.close(constants.NGHTTP2_REFUSED_STREAM),
	'says goodbye before it': stream => {
		stream.session?.goaway(constants.NGHTTP2_NO_ERROR, (stream.id as number) - 2);
	},
};

describe.each(Object.entries(clients))('%s', (_name, send) => {
	test.each(Object.entries(unprocessed))('a POST is sent again where the server %s', async (_how, refuse) => {
		expect(await send('first')).toBe('answered');
		refusals = [refuse];
		expect(await send('second')).toBe('answered');
		expect(handled).toEqual(['first', 'second']);
		expect(seen).toBe(3);
		expect([...credentials]).toEqual(['Bearer CANARY']);
	});

	test('and not for ever, where it refuses all streams', async () => {
		refusals = Array(20).fill(unprocessed['refuses the stream']);
		await expect(send('first')).rejects.toThrow();
		expect(seen).toBeLessThan(6);
	});

	test('no POST that may have been worked on is sent again', async () => {
		expect(await send('first')).toBe('answered');
		refusals = [stream => stream.close(constants.NGHTTP2_INTERNAL_ERROR)];
		await expect(send('second')).rejects.toThrow();
		expect(seen).toBe(2);
	});
});
