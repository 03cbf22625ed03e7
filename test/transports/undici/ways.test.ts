/** Connections over undici are not shared by rules that go out by different ways: a proxy would see what is not for it. */
import {request} from 'undici';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {createGatepass} from '../../../src/index.ts';
import {startServer, type TestServer} from '../../../src/testing/server.ts';

let servers: TestServer[];
let shownToProxy: unknown[];

beforeEach(async () => {
	shownToProxy = [];
	const proxy = await startServer(({headers}, response) => {
		shownToProxy.push(headers.authorization);
		response.end('by the proxy');
	});
	const direct = await startServer((_request, response) => void response.end('directly'));
	servers = [proxy, direct];
});
afterEach(() => Promise.all(servers.map(server => server.close())));

test.each([
	{what: "one says 'proxy: none'", says: {proxy: 'none', allowInsecure: true}},
	{what: 'one is for plain http that does not leave this machine', says: {}},
])('$what', async ({says}) => {
	const [proxy, direct] = servers.map(({url}) => new URL(url).origin) as [string, string];
	await using gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			proxy,
			hostRules: [
				{
					match: 'http://api.example.org',
					strategy: 'static-token',
					options: {token: 'for-all-to-see'},
					allowInsecure: true,
				},
				{match: direct, strategy: 'static-token', options: {token: 'not-for-the-proxy'}, ...says},
			],
		},
	});
	const ask = async (url: string): Promise<string> =>
		(await request(url, {dispatcher: gatepass.dispatcher})).body.text();
	// The first to go out makes the connections of its kind.
	expect(await ask('http://api.example.org/runs')).toBe('by the proxy');
	expect(await ask(`${direct}/runs`)).toBe('directly');
	expect(shownToProxy).toEqual(['Bearer for-all-to-see']);
});
