/** Requests to ACME servers: what comes back, what is borne, and what is not. */
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import {createServer, type RequestListener} from 'node:http';
import {createServer as createTlsServer} from 'node:https';
import {
	type AddressInfo,
	connect as connectTcp,
	createServer as createTcpServer,
	type Socket,
} from 'node:net';
import {gzipSync} from 'node:zlib';
import {expect, onTestFinished, test} from 'vitest';
import {parsePattern} from '../../src/host-rules/pattern.ts';
import {DirectHttpClient} from '../../src/http/direct-client.ts';
import {createTestAuthority} from '../../src/testing/authority.ts';
import {TlsAgents} from '../../src/tls/agents.ts';
import {openTlsBy} from '../../src/tls/open-tls.ts';
import {Ways} from '../../src/tls/ways.ts';
import {TrustStores} from '../../src/trust/trust-stores.ts';

function client(trust = new TrustStores([]), proxy?: string, timeout = 10_000): DirectHttpClient {
	const agents = new TlsAgents();
	const ways = new Ways(proxy ?? 'none', {environment: {}, openTls: openTlsBy(agents, trust)});
	onTestFinished(() => {
		agents.close();
		ways.close();
	});
	return new DirectHttpClient(trust, agents, {timeout}, ways);
}

async function serve(listener: RequestListener): Promise<string> {
	const server = createServer(listener).listen(0, '127.0.0.1');
	await once(server, 'listening');
	onTestFinished(() => {
		server.closeAllConnections();
		server.close();
	});
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

test('an answer has its status, headers and text; redirects are not followed', async () => {
	const url = await serve((request, response) => {
		let body = '';
		request.on('data', chunk => {
			body += chunk;
		});
		request.on('end', () => {
			response.writeHead(302, {location: '/elsewhere', link: ['<a>;rel="x"', '<b>;rel="y"']});
			response.end(`${request.method} ${request.headers['content-type']} ${body}`);
		});
	});
	const answer = await client().fetch(url, {method: 'POST', headers: {'content-type': 'a/b'}, body: 'grün'});
	expect(answer.status).toBe(302);
	expect(answer.headers.get('Location')).toBe('/elsewhere');
	expect(answer.headers.get('link')).toBe('<a>;rel="x", <b>;rel="y"');
	expect(answer.headers.get('retry-after')).toBeNull();
	expect(await answer.text()).toBe('POST a/b grün');
});

test('what was packed is unpacked; what is too large, or unfolds to it, is refused', async () => {
	const bodies: Record<string, [Buffer, Record<string, string>]> = {
		'/packed': [gzipSync('words'), {'content-encoding': 'gzip'}],
		'/bomb': [gzipSync(Buffer.alloc(2 * 1024 * 1024)), {'content-encoding': 'gzip'}],
		'/large': [Buffer.alloc(2 * 1024 * 1024), {}],
	};
	const url = await serve((request, response) => {
		const [body, headers] = bodies[request.url ?? ''] as [Buffer, Record<string, string>];
		response.writeHead(200, headers).end(body);
	});
	const {fetch} = {fetch: (path: string) => client().fetch(url.slice(0, -1) + path)};
	expect(await (await fetch('/packed')).text()).toBe('words');
	await expect(fetch('/bomb')).rejects.toThrow(/larger than 1048576 bytes/);
	await expect(fetch('/large')).rejects.toThrow(/larger than 1048576 bytes/);
});

test('a server that hangs is given up, and a caller who gives up is heeded', async () => {
	const url = await serve(() => {});
	await expect(client(undefined, undefined, 200).fetch(url)).rejects.toThrow(/it did not answer in time/);
	const controller = new AbortController();
	const asking = client().fetch(url, {signal: controller.signal});
	controller.abort();
	await expect(asking).rejects.toThrow(/abort/i);
});

test('a kept connection that the server has closed is made again, once', async () => {
	const seen: (string | undefined)[] = [];
	const sockets: import('node:net').Socket[] = [];
	const url = await serve((request, response) => {
		if (!sockets.includes(request.socket)) sockets.push(request.socket);
		seen.push(request.url);
		// The second request on a connection finds it closed, as where an idle one ends on both sides at once.
		if (sockets.length === 1 && seen.length === 2) request.socket.resetAndDestroy();
		else response.end(request.url);
	});
	const http = client();
	expect(await (await http.fetch(`${url}1`)).text()).toBe('/1');
	expect(await (await http.fetch(`${url}2`, {method: 'POST', body: 'x'})).text()).toBe('/2');
	expect(seen).toEqual(['/1', '/2', '/2']);
	expect(sockets).toHaveLength(2);
});

test('connections of a pool that the server has closed together are made again, each', async () => {
	let isClosing = false;
	const waiting: (() => void)[] = [];
	const url = await serve((request, response) => {
		if (isClosing && request.headers['x-turn'] === '2') {
			// As many as were kept.
			if (waiting.length > 0) {
				waiting.pop();
				request.socket.resetAndDestroy();
			} else response.end('through');
			return;
		}
		waiting.push(() => response.end('first'));
		if (waiting.length === 3) for (const answer of waiting) answer();
	});
	const http = client();
	await Promise.all([1, 2, 3].map(async () => (await http.fetch(url)).text()));
	isClosing = true;
	const answer = await http.fetch(url, {method: 'POST', body: 'x', headers: {'x-turn': '2'}});
	expect(await answer.text()).toBe('through');
	expect(waiting).toEqual([]);
});

test.each([
	['after a byte of its answer', (socket: Socket) => void socket.end('H', () => socket.destroy())],
	// The bound is a second: a request that was worked on for so long has reached somebody.
	['after a while', (socket: Socket) => void setTimeout(() => socket.resetAndDestroy(), 1100)],
])('a request whose connection breaks %s is not sent again', async (_, breakOff) => {
	let asked = 0;
	const url = await serve((request, response) => {
		asked += 1;
		if (asked === 2) breakOff(request.socket);
		else response.end();
	});
	const http = client();
	await (await http.fetch(url)).text();
	await expect(http.fetch(url, {method: 'POST', body: 'x'})).rejects.toThrow();
	expect(asked).toBe(2);
});

test('a new connection that breaks is not made again', async () => {
	let asked = 0;
	const url = await serve(request => {
		asked += 1;
		request.socket.resetAndDestroy();
	});
	await expect(client().fetch(url)).rejects.toThrow();
	expect(asked).toBe(1);
});

test('https goes through the proxy of the configuration, and the trust store of the host decides', async () => {
	const authority = await createTestAuthority();
	const files = await authority.issue('acme', {subject: 'CN=localhost', hosts: ['localhost']});
	const server = createTlsServer(
		{cert: readFileSync(files.certificate), key: readFileSync(files.key)},
		(_, response) => response.end('from behind'),
	).listen(0, '127.0.0.1');
	await once(server, 'listening');
	const {port} = server.address() as AddressInfo;
	const asked: string[] = [];
	const proxy = createTcpServer(socket => {
		socket.once('data', data => {
			asked.push(data.toString().split('\r\n')[0] ?? '');
			const behind = connectTcp(port, '127.0.0.1', () => {
				socket.write('HTTP/1.1 200 OK\r\n\r\n');
				socket.pipe(behind).pipe(socket);
			});
			behind.on('error', () => socket.destroy());
		});
		socket.on('error', () => {});
	}).listen(0, '127.0.0.1');
	await once(proxy, 'listening');
	onTestFinished(async () => {
		server.closeAllConnections();
		server.close();
		proxy.close();
		await authority.close();
	});
	const trust = new TrustStores([
		{
			...{patterns: [parsePattern('https://localhost:*')], files: [authority.ca], only: true},
			...{crl: 'check', source: 'test'},
		} as never,
	]);
	const through = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
	const answer = await client(trust, through).fetch(`https://localhost:${port}/dir`);
	expect(await answer.text()).toBe('from behind');
	expect(asked).toEqual([`CONNECT localhost:${port} HTTP/1.1`]);
	// No CA that is trusted vouches for it.
	await expect(client(undefined, through).fetch(`https://localhost:${port}/dir`)).rejects.toThrow(
		/localhost/,
	);
});
