/** How the proxy is operated: who is asked for a secret, what is late, what a new configuration leaves alone. */
import {once} from 'node:events';
import {Agent, type IncomingMessage, request as requestHttp} from 'node:http';
import {createServer, type Socket} from 'node:net';
import {text} from 'node:stream/consumers';
import {describe, expect, it, onTestFinished} from 'vitest';
import {createForServing} from '../../src/gatepass.ts';
import {type StartedProxy, secret, startProxy, startServer} from './start-proxy.ts';

const shown = {'x-gatepass-secret': secret};

async function start(
	configuration: Parameters<typeof startProxy>[0],
	withSecret = true,
): Promise<StartedProxy> {
	const proxy = await startProxy(configuration, {withSecret});
	onTestFinished(() => proxy.close());
	return proxy;
}

async function upstream(...parameters: Parameters<typeof startServer>) {
	const server = await startServer(...parameters);
	onTestFinished(() => server.close());
	return server;
}

describe('who is asked for a secret', () => {
	it('nobody by allowLocalUsers, but web pages are kept out all the same', async () => {
		const server = await upstream((request, response) => response.end(request.headers.authorization));
		const rule = {match: server.origin, strategy: 'static-token' as const, options: {token: 'the-token'}};
		const serve = {allowLocalUsers: true, routes: {'/api': server.origin}, forward: true};
		const proxy = await start({hostRules: [rule], serve}, false);
		expect(await (await fetch(`${proxy.url}/api/`)).text()).toBe('Bearer the-token');
		for (const headers of [{origin: 'https://evil.test'}, {'sec-fetch-site': 'cross-site'}]) {
			expect((await fetch(`${proxy.url}/api/`, {headers})).status).toBe(403);
		}
		// What would be the secret elsewhere is the client's own credential here, and the rule's takes its place.
		const headers = {authorization: 'Bearer own'};
		expect(await (await fetch(`${proxy.url}/api/`, {headers})).text()).toBe('Bearer the-token');
	});
});

describe('what the proxy answers by itself', () => {
	it('504 where what it waits for is late, 403 where the configuration is strict', async () => {
		const held = new Set<Socket>();
		const silent = createServer(socket => void held.add(socket.on('error', () => {})));
		await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
		onTestFinished(() => {
			for (const socket of held) socket.destroy();
			silent.close();
		});
		const {port} = silent.address() as {port: number};
		const server = await upstream((_request, response) => response.end('here'));
		const other = await upstream((_request, response) => response.end('other'));
		const tokenEndpoint = `http://127.0.0.1:${port}/token`;
		const options = {clientId: 'id', clientSecret: 'a-secret', tokenEndpoint};
		const proxy = await start({
			strict: true,
			tokenRequest: {timeout: 300, retries: 0},
			hostRules: [{match: server.origin, strategy: 'sso-client-credentials', options}],
			serve: {routes: {'/late': server.origin, '/other': other.origin}},
		});
		const late = await fetch(`${proxy.url}/late/`, {headers: shown});
		const problem = (await late.json()) as Record<string, unknown>;
		expect([late.status, late.headers.get('content-type')]).toEqual([504, 'application/problem+json']);
		expect(problem).toMatchObject({
			status: 504,
			title: 'Gateway Timeout',
			code: expect.stringMatching(/^ERR_/),
		});
		expect(JSON.stringify(problem)).not.toContain('a-secret');
		const strict = await fetch(`${proxy.url}/other/`, {headers: shown});
		expect([strict.status, ((await strict.json()) as {hint: string}).hint]).toEqual([
			403,
			expect.any(String),
		]);
		expect(other.requests).toEqual([]);
		expect(proxy.lines().map(({status, code}) => [status, typeof code])).toEqual([
			[504, 'string'],
			[403, 'string'],
		]);
	});
});

describe('a new configuration', () => {
	it('leaves connections open, and lets what is under way come to its end by the old one', async () => {
		const waiting = Promise.withResolvers<void>();
		const server = await upstream(async (request, response) => {
			response.write(`${request.headers.authorization}, `);
			if (request.url === '/slow') await waiting.promise;
			response.end('to its end');
		});
		const configure = (token: string) => ({
			cache: {url: 'memory:'},
			hostRules: [{match: server.origin, strategy: 'static-token' as const, options: {token}}],
			serve: {listen: '127.0.0.1:0', routes: {'/api': server.origin}},
		});
		const proxy = await start(configure('first'));
		const agent = new Agent({keepAlive: true, maxSockets: 1});
		const ask = async (path: string): Promise<{response: IncomingMessage; socket: Socket}> => {
			const request = requestHttp(`${proxy.url}${path}`, {agent, headers: shown});
			request.end();
			const [response] = (await once(request, 'response')) as [IncomingMessage];
			return {response, socket: response.socket};
		};
		const before = await ask('/api/quick');
		expect(await text(before.response)).toBe('Bearer first, to its end');
		const slow = await fetch(`${proxy.url}/api/slow`, {headers: shown});
		const next = await createForServing(
			{config: configure('second'), env: {}},
			proxy.proxy.activity.listener,
		);
		proxy.proxy.replace(next);
		const after = await ask('/api/quick');
		expect(await text(after.response)).toBe('Bearer second, to its end');
		expect(after.socket).toBe(before.socket);
		waiting.resolve();
		expect(await slow.text()).toBe('Bearer first, to its end');
		agent.destroy();
	});
});
