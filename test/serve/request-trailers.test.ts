/** Requests whose trailers are announced, where something else goes wrong with them. */

import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import {once} from 'node:events';
import {
	Agent,
	type ClientRequest,
	type IncomingMessage,
	type RequestListener,
	request as requestHttp,
} from 'node:http';
import type {AddressInfo, Socket} from 'node:net';
import {createServer} from 'node:net';
import {Readable} from 'node:stream';
import {text} from 'node:stream/consumers';
import {expect, it, onTestFinished} from 'vitest';
import {z} from 'zod';
import {createGatepass, defineStrategy} from '../../src/index.ts';
import {sendWithTrailers} from '../../src/serve/request-trailers.ts';
import {type StartedServer, secret, startProxy, startServer} from './start-proxy.ts';

const headers = {'x-gatepass-secret': secret, trailer: 'x-sum', 'transfer-encoding': 'chunked'};

async function serverWith(answer: RequestListener): Promise<StartedServer> {
	const server = await startServer(answer);
	onTestFinished(() => server.close());
	return server;
}

async function proxyFor(
	configuration: Parameters<typeof startProxy>[0],
	env?: NodeJS.ProcessEnv,
): Promise<number> {
	const proxy = await startProxy(configuration, env === undefined ? {} : {env});
	onTestFinished(() => proxy.close());
	return proxy.port;
}

function begin(port: number, path: string, method: string): ClientRequest {
	return requestHttp({host: '127.0.0.1', port, path, method, headers, agent: new Agent()});
}

async function answered(request: ClientRequest): Promise<IncomingMessage> {
	request.addTrailers({'x-sum': '4'});
	request.end('body');
	const [response] = await once(request, 'response');
	return response;
}

it('a redirect is followed whose request is over', async () => {
	const next = await serverWith((_request, response) => response.end('there'));
	const first = await serverWith((request, response) => {
		request.resume();
		request.once('end', () =>
			response.writeHead(302, {location: `http://localhost:${next.port}/there`}).end('moved'),
		);
	});
	const port = await proxyFor({
		hostRules: [
			{match: `http://localhost:${next.port}`, strategy: 'static-token', options: {token: 'the-token'}},
		],
		serve: {redirects: 'follow', routes: {'/t': first.origin}},
	});
	const response = await answered(begin(port, '/t/', 'GET'));
	expect([response.statusCode, await text(response)]).toEqual([200, 'there']);
	const {headers: sent} = next.requests.at(-1) as IncomingMessage;
	expect(sent.authorization).toBe('Bearer the-token');
	// The body went to the first server, and with it what announces it.
	expect(sent).not.toHaveProperty('trailer');
	expect(sent).not.toHaveProperty('transfer-encoding');
});

it('a redirect that wants the body again is handed back', async () => {
	const first = await serverWith((request, response) => {
		request.resume();
		request.once('end', () => response.writeHead(307, {location: 'http://localhost:1/there'}).end());
	});
	const port = await proxyFor({
		hostRules: [{match: first.origin, strategy: 'static-token', options: {token: 'the-token'}}],
		serve: {redirects: 'follow', routes: {'/t': first.origin}},
	});
	const response = await answered(begin(port, '/t/', 'GET'));
	expect([response.statusCode, response.headers.location]).toEqual([307, 'http://localhost:1/there']);
});

it.each([
	['no connection', 'http://127.0.0.1', 'UND_ERR_CONNECT_TIMEOUT'],
	['no handshake', 'https://127.0.0.1', 'UND_ERR_CONNECT_TIMEOUT'],
	['no answer', 'http://127.0.0.1', 'UND_ERR_HEADERS_TIMEOUT'],
] as const)('%s in time ends the request', async (what, base, code) => {
	const silent = createServer(socket => socket.on('error', () => {}).resume());
	await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => void silent.close());
	const url = new URL(`${base}:${(silent.address() as AddressInfo).port}`);
	const gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			hostRules: [{match: url.origin, strategy: 'static-token', options: {token: 'the-token'}}],
		},
	});
	onTestFinished(() => gatepass.close());
	const asking = Object.assign(Readable.from(['body']), {method: 'PUT', rawTrailers: []});
	const limits = what === 'no answer' ? {connection: 60_000, answer: 20} : {connection: 20, answer: 60_000};
	// Where a name is never found, no connection is made.
	const lookup = what === 'no connection' ? () => {} : undefined;
	if (what === 'no connection') url.hostname = 'localhost';
	const trailed = {
		generation: {gatepass, openTunnel: () => undefined},
		...{url, path: '/', headers: ['trailer', 'x-sum'], limits, lookup},
	};
	const failed = Promise.withResolvers<string | undefined>();
	void sendWithTrailers(asking as never, trailed as never, {
		onResponseError: (_controller, error) => failed.resolve((error as NodeJS.ErrnoException).code),
	});
	expect(await failed.promise).toBe(code);
});

it('an answer that breaks off while the strategy looks at its head is no whole one', async () => {
	const looks = Promise.withResolvers<void>();
	const broken = Promise.withResolvers<void>();
	const slow = defineStrategy({
		name: 'slow',
		options: z.object({}),
		async *authenticate() {
			yield;
			looks.resolve();
			await broken.promise;
		},
	});
	const server = await serverWith(async (_request, response) => {
		response.writeHead(401, {'content-length': '10'});
		response.write('half');
		await looks.promise;
		response.destroy();
	});
	const gatepass = await createGatepass({
		config: {cache: {url: 'memory:'}, hostRules: [{match: server.origin, strategy: 'slow'}]},
		strategies: [slow],
	});
	onTestFinished(() => gatepass.close());
	const onClose = (message: unknown): void => {
		const {response} = message as {response: IncomingMessage};
		response.once('close', () => broken.resolve());
	};
	subscribe('http.client.response.finish', onClose);
	onTestFinished(() => void unsubscribe('http.client.response.finish', onClose));
	const told: string[] = [];
	const over = Promise.withResolvers<void>();
	const asking = Object.assign(Readable.from(['body']), {method: 'PUT', rawTrailers: []});
	const trailed = {
		generation: {gatepass, openTunnel: () => undefined},
		url: new URL(server.origin),
		path: '/',
		headers: ['trailer', 'x-sum'],
	};
	void sendWithTrailers(asking as never, trailed as never, {
		onResponseEnd() {
			told.push('end');
			over.resolve();
		},
		onResponseError(_controller, error) {
			told.push((error as NodeJS.ErrnoException).code ?? error.message);
			over.resolve();
		},
	});
	await over.promise;
	expect(told).toEqual(['ECONNRESET']);
});

it('no connection is left open for a client that went away while it was being made', async () => {
	const asked = Promise.withResolvers<Socket>();
	const wayOut = createServer(socket => {
		socket.on('error', () => {});
		socket.once('data', () => asked.resolve(socket));
	});
	await new Promise<void>(resolve => wayOut.listen(0, '127.0.0.1', resolve));
	onTestFinished(() => void wayOut.close());
	const {port: wayPort} = wayOut.address() as AddressInfo;
	const hostRules = [
		{match: 'https://far.example.org', strategy: 'static-token', options: {token: 'the-token'}},
	];
	const serve = {routes: {'/t': 'https://far.example.org'}};
	const port = await proxyFor({hostRules, serve}, {https_proxy: `http://127.0.0.1:${wayPort}`});
	const request = begin(port, '/t/', 'PUT');
	request.on('error', () => {});
	request.write('body');
	const socket = await asked.promise;

	const gone = new Promise(resolve => request.once('close', resolve));
	request.destroy();
	await gone;

	// The proxy has to hear of it first: another request, and its answer, come behind it.
	await fetch(`http://127.0.0.1:${port}/-/health`, {headers: {'x-gatepass-secret': secret}});

	const closed = once(socket, 'close');
	socket.resume();
	socket.write('HTTP/1.1 200 Connection Established\r\n\r\n');
	await closed;
});
