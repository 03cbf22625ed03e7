/** What a server says back of the credential that it was shown, and what errors say of it. */
import {once} from 'node:events';
import {type IncomingMessage, type RequestListener, request as requestHttp} from 'node:http';
import type {Socket} from 'node:net';
import {text} from 'node:stream/consumers';
import {connect as connectTls} from 'node:tls';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {WebSocket} from 'ws';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {type StartedProxy, type StartedServer, secret, startProxy, startServer} from './start-proxy.ts';

const basic = `Basic ${Buffer.from(`gatepass:${secret}`).toString('base64')}`;
const key = 'the-key-of-the-api';

let authority: TestAuthority;
let servers: Record<'http' | 'https', StartedServer>;
let issuer: StartedServer;
let proxy: StartedProxy;
let answer: RequestListener;

beforeAll(async () => {
	authority = await createTestAuthority();
	const certificate = await authority.issue('server', {subject: 'CN=localhost', hosts: ['localhost']});
	const listener: RequestListener = (request, response) => answer(request, response);
	servers = {http: await startServer(listener), https: await startServer(listener, certificate)};
	// It repeats the whole request, as some do in the description of an error.
	issuer = await startServer(async (request, response) => {
		const body = await text(request);
		const description = `${request.headers.authorization} ${body}`;
		response
			.writeHead(400, {'content-type': 'application/json'})
			.end(JSON.stringify({error: 'invalid_client', error_description: description}));
	});
	const origins = [`http://localhost:${servers.http.port}`, `https://localhost:${servers.https.port}`];
	proxy = await startProxy({
		trust: [{match: origins[1] as string, ca: authority.ca, only: true}],
		hostRules: [
			...origins.map(match => ({
				match: `${match}/failing`,
				strategy: 'sso-client-credentials',
				options: {
					tokenEndpoint: `http://localhost:${issuer.port}/token`,
					clientId: 'the-client',
					clientSecret: 'the-secret-of-the-client',
				},
			})),
			...origins.map(match => ({
				match: `${match}/key`,
				strategy: 'static-token',
				options: {header: 'X-Api-Key', value: key},
			})),
			...origins.map(match => ({match, strategy: 'static-token', options: {token: key}})),
		],
		serve: {forward: true, routes: {'/api': origins[0] as string}},
	});
});
afterAll(async () => {
	await proxy?.close();
	await Promise.all([servers?.http.close(), servers?.https.close(), issuer?.close()]);
	await authority?.close();
});

type Answer = IncomingMessage & {content: string};
type Ask = (path: string, method?: string) => Promise<Answer>;

async function finish(request: ReturnType<typeof requestHttp>): Promise<Answer> {
	request.end();
	const [response] = (await once(request, 'response')) as [IncomingMessage];
	return Object.assign(response, {content: await text(response)});
}

const forms: readonly [string, Ask][] = [
	[
		'the reverse form',
		(path, method = 'GET') =>
			finish(
				requestHttp({
					host: '127.0.0.1',
					port: proxy.port,
					method,
					path: `/api${path}`,
					headers: {'x-gatepass-secret': secret, te: 'trailers'},
				}),
			),
	],
	[
		'the forward form',
		(path, method = 'GET') =>
			finish(
				requestHttp({
					host: '127.0.0.1',
					port: proxy.port,
					method,
					path: `http://localhost:${servers.http.port}${path}`,
					headers: {'proxy-authorization': basic, te: 'trailers'},
				}),
			),
	],
	[
		'a tunnel',
		async (path, method = 'GET') => {
			const place = `localhost:${servers.https.port}`;
			const asked = requestHttp({
				host: '127.0.0.1',
				port: proxy.port,
				method: 'CONNECT',
				path: place,
				headers: {host: place, 'proxy-authorization': basic},
			}).end();
			const [, socket] = (await once(asked, 'connect')) as [IncomingMessage, Socket];
			const inside = connectTls({socket, servername: 'localhost', ca: proxy.root});
			const headers = {host: place, te: 'trailers', connection: 'close'};
			return finish(requestHttp({createConnection: () => inside, method, path, headers}));
		},
	],
];

/** All that a client can see of an answer. */
function shown({rawHeaders, rawTrailers, statusMessage, content}: Answer): string {
	return [statusMessage, ...rawHeaders, ...rawTrailers, content].join('\n');
}

describe.each(forms)('by %s', (_name, ask) => {
	it.each(['/x', '/key/x'])('%s: neither a header nor a trailer of a credential comes back', async path => {
		let repeated = '';
		answer = (request, response) => {
			const {authorization, 'x-api-key': own} = request.headers;
			repeated = String(authorization ?? own);
			response.writeHead(200, {
				trailer: 'Authorization, X-Api-Key, X-Sum',
				authorization: repeated,
				'proxy-authorization': repeated,
				'authentication-info': `token=${repeated}`,
				'proxy-authentication-info': `token=${repeated}`,
				'www-authenticate': `Negotiate ${Buffer.from(repeated).toString('base64')}`,
				'dpop-nonce': 'nonce',
				dpop: 'proof',
				'x-gatepass-secret': repeated,
				'x-kept': 'yes',
				...(own !== undefined && {'x-api-key': repeated}),
			});
			response.write('content');
			response.addTrailers({
				authorization: repeated,
				'x-sum': '7',
				...(own !== undefined && {'x-api-key': repeated}),
			});
			response.end();
		};
		const response = await ask(path);
		expect(repeated).toContain(key);
		expect(response.headers).toMatchObject({'x-kept': 'yes'});
		expect(response.trailers).toEqual({'x-sum': '7'});
		expect(shown(response)).not.toContain(key);
		expect(shown(response)).not.toMatch(/dpop|nonce|Negotiate|authentication-info/i);
	});

	it('TRACE and TRACK reach no server', async () => {
		answer = (request, response) => response.end(request.headers.authorization);
		for (const method of ['TRACE', 'TRACK']) {
			// Node's client knows no TRACK; a server would take it for another method of its own.
			const response = await ask('/x', method).catch(() => undefined);
			if (method === 'TRACE') expect(response?.statusCode).toBe(405);
			if (response !== undefined) expect(shown(response)).not.toContain(key);
		}
	});

	it('an error of whoever issues tokens says nothing of the secret that it was shown', async () => {
		const response = await ask('/failing');
		expect([response.statusCode, response.headers['content-type']]).toEqual([
			502,
			'application/problem+json',
		]);
		expect(shown(response)).toContain('invalid_client');
		const encoded = Buffer.from('the-client:the-secret-of-the-client').toString('base64');
		for (const part of ['the-secret-of-the-client', encoded]) {
			expect(shown(response)).not.toContain(part);
			expect(JSON.stringify(proxy.lines())).not.toContain(part);
			expect(proxy.told.join()).not.toContain(part);
		}
	});

	it.each([
		['a broken answer', 'HTTP/1.1 200 OK\r\nX: '],
		['no answer', ''],
	])('%s: its error says nothing of the credential', async (_what, start) => {
		answer = request => {
			const {authorization} = request.headers;
			request.socket.end(start === '' ? '' : `${start}${authorization}\u0001${authorization}\r\n\r\n`);
		};
		const response = await ask('/x');
		expect(response.statusCode).toBe(502);
		expect(shown(response)).not.toContain(key);
	});
});

it('an upgrade hands no header of a credential back', async () => {
	servers.http.server.once('upgrade', (request, socket) => {
		const {authorization} = request.headers;
		socket.end(
			`HTTP/1.1 403 Forbidden\r\nAuthorization: ${authorization}\r\nContent-Length: 2\r\nX-Kept: yes\r\n\r\nno`,
		);
	});
	const client = new WebSocket(`ws://127.0.0.1:${proxy.port}/api/socket`, {
		headers: {'x-gatepass-secret': secret},
	});
	const [, response] = (await once(client, 'unexpected-response')) as [unknown, IncomingMessage];
	expect(response.headers).toMatchObject({'x-kept': 'yes'});
	expect(response.headers).not.toHaveProperty('authorization');
	response.destroy();
});
