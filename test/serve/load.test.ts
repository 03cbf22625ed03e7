/** Many at once, large, slow and dying: what a proxy has to live through. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {readFileSync} from 'node:fs';
import {Agent, type IncomingMessage, request as requestHttp} from 'node:http';
import {connect} from 'node:net';
import {text} from 'node:stream/consumers';
import {afterAll, beforeAll, beforeEach, describe, expect, it} from 'vitest';
import {createWorkspace, type Workspace} from '../cli/command-line.ts';
import {untilServing} from '../servers/process.ts';
import {type StartedServer, startServer} from './start-proxy.ts';

const secret = 'x'.repeat(43);
const gibibyte = 1024 ** 3;

let server: StartedServer;
let workspace: Workspace;
let child: ChildProcess;
let place: URL;
let received = 0;

beforeAll(async () => {
	server = await startServer((request, response) => {
		const {pathname, searchParams} = new URL(request.url ?? '', 'http://server');
		if (request.headers.authorization !== 'Bearer the-token') response.writeHead(401).end();
		else if (pathname === '/large') {
			const chunk = Buffer.alloc(256 * 1024);
			let left = Number(searchParams.get('size'));
			response.writeHead(200, {'content-length': left});
			const more = (): void => {
				while (left > 0) {
					const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
					left -= part.length;
					if (!response.write(part)) {
						response.once('drain', more);
						return;
					}
				}
				response.end();
			};
			more();
		} else {
			received = 0;
			request.on('data', (data: Buffer) => {
				received += data.length;
			});
			request.once('end', () => response.end(String(received)));
		}
	});
	workspace = await createWorkspace({
		cache: {url: 'memory:'},
		hostRules: [{match: server.origin, strategy: 'static-token', options: {token: 'the-token'}}],
		serve: {listen: '127.0.0.1:0', routes: {'/s': server.origin}, forward: true},
	});
	await start();
});
afterAll(async () => {
	child.kill('SIGKILL');
	await server.close();
	await workspace.close();
});
beforeEach(async () => {
	expect((await ask('/s/')).statusCode).toBe(200);
});

async function start(listen = '127.0.0.1:0'): Promise<void> {
	child = workspace.start(['serve', '--access-log', 'off', '--listen', listen], {
		env: {GATEPASS_SECRET: secret},
	});
	place = new URL(await untilServing(child));
}

async function ask(path: string, agent = new Agent()): Promise<IncomingMessage & {content: string}> {
	const request = requestHttp({
		host: '127.0.0.1',
		port: place.port,
		path,
		agent,
		headers: {'x-gatepass-secret': secret},
	});
	request.end();
	const [response] = (await once(request, 'response')) as [IncomingMessage];
	return Object.assign(response, {content: await text(response)});
}

/** Resident memory of the proxy, in bytes. */
function memory(): number {
	const [, kilobytes = '0'] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
	return Number(kilobytes) * 1024;
}

async function growthWhile(work: Promise<unknown>): Promise<number> {
	const before = memory();
	let most = before;
	const timer = setInterval(() => {
		most = Math.max(most, memory());
	}, 50);
	await work.finally(() => clearInterval(timer));
	return most - before;
}

describe('a proxy that is used much', () => {
	it('serves 1,000 connections at once', async () => {
		const agent = new Agent({keepAlive: true, maxSockets: 1000});
		const answers = await Promise.all(Array.from({length: 1000}, () => ask('/s/', agent)));
		expect(answers.every(({statusCode, content}) => statusCode === 200 && content === '0')).toBe(true);
		agent.destroy();
	});

	it('hands on 1 GiB both ways in memory that does not grow with it', async () => {
		const curl = async (...args: string[]): Promise<string> => {
			const command = spawn('curl', ['-sSf', '-H', `X-Gatepass-Secret: ${secret}`, ...args]);
			const output = text(command.stdout);
			await once(command, 'close');
			return output;
		};
		const down = await growthWhile(
			curl('-o', '/dev/null', '-w', '%{size_download}', `${place.origin}/s/large?size=${gibibyte}`).then(
				size => expect(Number(size)).toBe(gibibyte),
			),
		);
		const up = await growthWhile(
			new Promise<void>((resolve, reject) => {
				const head = spawn('head', ['-c', String(gibibyte), '/dev/zero']);
				const sender = spawn('curl', [
					'-sSf',
					'-H',
					`X-Gatepass-Secret: ${secret}`,
					'-T',
					'-',
					`${place.origin}/s/upload`,
				]);
				head.stdout.pipe(sender.stdin);
				text(sender.stdout).then(size => (size === String(gibibyte) ? resolve() : reject(new Error(size))));
			}),
		);
		// A quarter of what passes through: garbage may wait for a while to be collected.
		expect(Math.max(down, up)).toBeLessThan(gibibyte / 4);
	});

	it('holds nothing back for slow readers', async () => {
		const slow = Array.from({length: 20}, () => {
			const socket = connect(Number(place.port), '127.0.0.1');
			socket.on('error', () => {});
			socket.pause();
			socket.write(
				`GET /s/large?size=${100 * 1024 * 1024} HTTP/1.1\r\nHost: ${place.host}\r\nX-Gatepass-Secret: ${secret}\r\n\r\n`,
			);
			return socket;
		});
		const grown = await growthWhile(
			(async () => {
				for (let count = 0; count < 20; count += 1) expect((await ask('/s/')).statusCode).toBe(200);
			})(),
		);
		// A quarter of what they have asked for.
		expect(grown).toBeLessThan(gibibyte / 2);
		for (const socket of slow) socket.destroy();
	});

	it('outlives clients that are killed in the middle', async () => {
		const clients = Array.from({length: 5}, () =>
			spawn('curl', [
				'-s',
				'--limit-rate',
				'10k',
				'-o',
				'/dev/null',
				'-H',
				`X-Gatepass-Secret: ${secret}`,
				`${place.origin}/s/large?size=${gibibyte}`,
			]),
		);
		await expect
			.poll(
				() => server.requests.filter(({url, destroyed}) => url?.startsWith('/large') && !destroyed).length,
			)
			.toBeGreaterThanOrEqual(5);
		const open = server.requests.filter(({url, socket}) => url?.startsWith('/large') && !socket.destroyed);
		for (const client of clients) client.kill('SIGKILL');
		// The server learns of it.
		await expect.poll(() => open.every(({socket}) => socket.destroyed)).toBe(true);
		expect((await ask('/s/')).statusCode).toBe(200);
	});

	it('can be killed itself, and started again', async () => {
		const {host} = place;
		const waiting = ask(`/s/large?size=${gibibyte}`);
		waiting.catch(() => {});
		await expect.poll(() => server.requests.at(-1)?.url).toContain('/large');
		child.kill('SIGKILL');
		await expect(waiting).rejects.toThrow();
		await start(host);
		expect((await ask('/s/')).statusCode).toBe(200);
	});

	it('says that the server is gone, and finds it again', async () => {
		const dying = await startServer((_request, response) => response.end('here'));
		const {port} = dying;
		await workspace.configure({
			cache: {url: 'memory:'},
			serve: {listen: place.host, routes: {'/s': server.origin, '/dying': dying.origin}},
			hostRules: [{match: server.origin, strategy: 'static-token', options: {token: 'the-token'}}],
		});
		await expect.poll(async () => (await ask('/dying/')).content).toBe('here');
		await dying.close();
		const gone = await ask('/dying/');
		expect([gone.statusCode, JSON.parse(gone.content).status]).toEqual([502, 502]);
		const {createServer} = await import('node:http');
		const again = createServer((_request, response) => response.end('again'));
		await new Promise<void>(resolve => again.listen(port, '127.0.0.1', resolve));
		expect((await ask('/dying/')).content).toBe('again');
		again.closeAllConnections();
		await new Promise(resolve => again.close(resolve));
	});
});
