/** WebSockets by each form, to a server that wants a credential: one that is shown at once, and one that it asks for first. */
import {once} from 'node:events';
import {type IncomingMessage, request as requestHttp} from 'node:http';
import {connect} from 'node:net';
import type {Duplex} from 'node:stream';
import {connect as connectTls} from 'node:tls';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {WebSocket, WebSocketServer} from 'ws';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {type StartedProxy, type StartedServer, secret, startProxy, startServer} from './start-proxy.ts';

let authority: TestAuthority;
let plain: StartedServer;
let secure: StartedServer;
let proxy: StartedProxy;
/** What came along with each request for an upgrade. */
let shown: (string | undefined)[];

const basic = `Basic ${Buffer.from(`gatepass:${secret}`).toString('base64')}`;

/** Takes a WebSocket where the request shows a credential, and says back what it is told. */
function takeSockets({server}: StartedServer): void {
	const sockets = new WebSocketServer({noServer: true});
	server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
		const {authorization} = request.headers;
		shown.push(authorization?.split(' ')[0]);
		if (authorization === undefined) {
			socket.end(
				'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
			);
			return;
		}
		sockets.handleUpgrade(request, socket, head, connected => {
			connected.on('message', (message, isBinary) => connected.send(message, {binary: isBinary}));
		});
	});
}

beforeAll(async () => {
	authority = await createTestAuthority();
	const certificate = await authority.issue('server', {subject: 'CN=localhost', hosts: ['localhost']});
	plain = await startServer((_request, response) => response.end());
	secure = await startServer((_request, response) => response.end(), certificate);
	for (const server of [plain, secure]) takeSockets(server);
	const origins = [`http://localhost:${plain.port}`, `https://localhost:${secure.port}`];
	proxy = await startProxy({
		trust: [{match: 'https://localhost:*', ca: authority.ca}],
		hostRules: origins.flatMap(origin => [
			{match: `${origin}/token`, strategy: 'static-token', options: {token: 'the-token'}},
			{match: `${origin}/asked`, strategy: 'kerberos-stub', options: {mutualAuthentication: 'disabled'}},
		]),
		serve: {
			forward: true,
			routes: {'/plain': `http://localhost:${plain.port}`, '/secure': `https://localhost:${secure.port}`},
		},
	});
});
afterAll(async () => {
	await proxy.close();
	await Promise.all([plain.close(), secure.close()]);
	await authority.close();
});

/** A connection on which the proxy takes what comes for the server's. */
async function tunnelTo(place: string): Promise<Duplex> {
	const headers = {host: place, 'proxy-authorization': basic};
	const request = requestHttp({host: '127.0.0.1', port: proxy.port, method: 'CONNECT', path: place, headers});
	request.end();
	const [response, socket] = (await once(request, 'connect')) as [IncomingMessage, Duplex];
	expect(response.statusCode).toBe(200);
	return socket;
}

const forms: Readonly<Record<string, (path: string) => Promise<WebSocket>>> = {
	'the reverse form, to a server without TLS': async path =>
		new WebSocket(`ws://127.0.0.1:${proxy.port}/plain${path}`, {headers: {authorization: basic}}),
	'the reverse form, to a server with TLS': async path =>
		new WebSocket(`ws://127.0.0.1:${proxy.port}/secure${path}`, {headers: {authorization: basic}}),
	'the forward form, by a whole URL': async path =>
		new WebSocket(`ws://localhost:${plain.port}${path}`, {
			headers: {'proxy-authorization': basic},
			createConnection: () => connect(proxy.port, '127.0.0.1'),
			finishRequest(request: ReturnType<typeof requestHttp>) {
				request.path = `http://localhost:${plain.port}${path}`;
				request.end();
			},
		} as never),
	'a tunnel without TLS, as browsers ask for it': async path => {
		const socket = await tunnelTo(`localhost:${plain.port}`);
		return new WebSocket(`ws://localhost:${plain.port}${path}`, {createConnection: () => socket} as never);
	},
	'a tunnel that is opened': async path => {
		const socket = await tunnelTo(`localhost:${secure.port}`);
		const inside = connectTls({socket, servername: 'localhost', ca: proxy.root});
		await once(inside, 'secureConnect');
		return new WebSocket(`wss://localhost:${secure.port}${path}`, {createConnection: () => inside} as never);
	},
};

describe.each(Object.entries(forms))('%s', (_name, open) => {
	it.each([
		['shown at once', '/token/socket', ['Bearer']],
		['that the server asks for', '/asked/socket', [undefined, 'Negotiate']],
	])('goes through with a credential %s', async (_what, path, credentials) => {
		shown = [];
		const client = await open(path);
		await once(client, 'open');
		client.send('there');
		expect(String((await once(client, 'message'))[0])).toBe('there');
		// More than fits into the buffers on the way.
		const large = Buffer.alloc(4_000_000, 'x');
		client.send(large);
		const [back] = (await once(client, 'message')) as [Buffer];
		expect(back.equals(large)).toBe(true);
		expect(shown).toEqual(credentials);
		client.close(1000, 'enough');
		const [code] = await once(client, 'close');
		expect(code).toBe(1000);
	});
});
