/** `gatepass serve` as a service: real programs at its socket, systemd's own program before it, and signals under load. */
import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {chmodSync, existsSync, writeFileSync} from 'node:fs';
import {Agent, request as requestHttp} from 'node:http';
import {connect, type Socket} from 'node:net';
import {text} from 'node:stream/consumers';
import {promisify} from 'node:util';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi} from 'vitest';
import {createWorkspace, type Workspace} from '../cli/command-line.ts';
import {describeWith, findProgram, type RealServer} from '../servers/availability.ts';
import {freePorts} from '../servers/free-port.ts';
import {type StartedServer, startServer} from './start-proxy.ts';
import {follow, type StartedService, serveIn, stop} from './start-service.ts';

vi.setConfig({testTimeout: 60_000});

const execute = promisify(execFile);
const secret = 'x'.repeat(40);
let server: StartedServer;
let workspace: Workspace;
let service: StartedService | undefined;

beforeAll(async () => {
	server = await startServer(async (request, response) => {
		let length = 0;
		for await (const chunk of request) length += (chunk as Buffer).length;
		response.end(`${request.headers.authorization} ${length}`);
	});
});
afterAll(() => server.close());
beforeEach(async () => {
	workspace = await createWorkspace();
	await workspace.configure(configuration('first'));
});
afterEach(async () => {
	if (service?.child.exitCode === null) await stop(service.child);
	service = undefined;
	await workspace.close();
});

function configuration(token: string, serve: object = {}) {
	return {
		cache: {url: 'memory:'},
		hostRules: [{match: `http://127.0.0.1:${server.port}`, strategy: 'static-token', options: {token}}],
		serve: {listen: '127.0.0.1:0', routes: {'/api': server.origin}, ...serve},
	};
}

function real(name: string, debian: string): RealServer {
	return {
		name,
		install: `apt-get install ${debian}`,
		whyUnavailable: () => (findProgram(name) === undefined ? `there is no program ${name}` : undefined),
	};
}

describe('under load', () => {
	/** Send requests until told to stop, some at a time over few connections, and give what was answered. */
	function load(place: string): {
		readonly answers: ReadonlyMap<string, number>;
		stop(): Promise<{answers: Map<string, number>; failures: unknown[]; connections: number}>;
	} {
		const answers = new Map<string, number>();
		const failures: unknown[] = [];
		const used = new Set<unknown>();
		const agent = new Agent({keepAlive: true, maxSockets: 10});
		let isOver = false;
		const one = async (): Promise<void> => {
			const headers = {'x-gatepass-secret': secret, 'content-length': '7'};
			const request = requestHttp(`${place}/api/x`, {agent, method: 'POST', headers});
			request.once('socket', socket => used.add(socket));
			request.end('content');
			const [response] = await once(request, 'response');
			const answer = `${response.statusCode} ${await text(response)}`;
			answers.set(answer, (answers.get(answer) ?? 0) + 1);
		};
		const loops = Array.from({length: 10}, async () => {
			while (!isOver) await one().catch(error => failures.push(error));
		});
		return {
			answers,
			async stop() {
				isOver = true;
				await Promise.all(loops);
				agent.destroy();
				return {answers, failures, connections: used.size};
			},
		};
	}

	it('a new configuration breaks nothing off: neither requests nor connections', async () => {
		service = await serveIn(workspace, ['--access-log', 'off'], {GATEPASS_SECRET: secret});
		const {place, child} = service;
		const running = load(place);
		const reloads = async (): Promise<number> => {
			const response = await fetch(`${place}/-/metrics`, {headers: {'x-gatepass-secret': secret}});
			return Number(/^gatepass_configuration_reloads_total (\d+)$/m.exec(await response.text())?.[1]);
		};
		for (let time = 1; time <= 5; time += 1) {
			const before = await reloads();
			await workspace.configure(configuration(`token-${time}`));
			// The file is watched, too: whichever comes first.
			child.kill('SIGHUP');
			await expect.poll(reloads).toBeGreaterThan(before);
		}
		// In quick succession.
		for (let time = 0; time < 20; time += 1) child.kill('SIGHUP');
		await expect.poll(reloads).toBeGreaterThan(5);
		const {answers, failures, connections} = await running.stop();
		expect(failures).toEqual([]);
		for (const answer of answers.keys()) expect(answer).toMatch(/^200 Bearer (?:first|token-\d) 7$/);
		expect([...answers.keys()]).toContain('200 Bearer token-5 7');
		expect(connections).toBe(10);
	});

	it('SIGTERM lets each request that was taken come to its end', async () => {
		service = await serveIn(workspace, ['--access-log', 'off'], {GATEPASS_SECRET: secret});
		const running = load(service.place);
		await expect.poll(() => running.answers.get('200 Bearer first 7')).toBeGreaterThan(50);
		expect(await stop(service.child)).toBe(0);
		const {answers, failures} = await running.stop();
		expect([...answers.keys()]).toEqual(['200 Bearer first 7']);
		// What found no connection any more, or one that was closed before it was sent, as with any server.
		for (const failure of failures) expect((failure as NodeJS.ErrnoException).code).toMatch(/^ECONN|^EPIPE/);
	});
});

it('an idle connection in a tunnel that was opened does not hold up the end', async () => {
	await workspace.configure(configuration('first', {forward: true}));
	service = await serveIn(workspace, ['--access-log', 'off', '--grace', '600'], {GATEPASS_SECRET: secret});
	const {port} = new URL(service.place);
	const authorization = `Basic ${Buffer.from(`gatepass:${secret}`).toString('base64')}`;
	const path = `127.0.0.1:${server.port}`;
	const headers = {host: path, 'proxy-authorization': authorization};
	const asked = requestHttp({host: '127.0.0.1', port, method: 'CONNECT', path, headers}).end();
	const [, socket] = (await once(asked, 'connect')) as [unknown, Socket];
	socket.write(`GET /x HTTP/1.1\r\nHost: ${path}\r\n\r\n`);
	const [answer] = await once(socket, 'data');
	expect(String(answer)).toMatch(/^HTTP\/1.1 200 .*Keep-Alive/s);
	// What is under way may take ten minutes, for which no test waits.
	expect(await stop(service.child)).toBe(0);
});

describeWith(real('curl', 'curl'), 'curl', () => {
	const large = (): string => {
		const file = workspace.path('large');
		writeFileSync(file, Buffer.alloc(3_000_000, 'x'));
		return file;
	};

	it('asks at a Unix socket for a page, and for its body to be taken', async () => {
		const path = workspace.path('proxy.sock');
		await workspace.configure(configuration('first', {listen: `unix:${path}`}));
		service = await serveIn(workspace, ['--access-log', 'off'], {});
		expect(service.place).toBe(`unix:${path}`);
		const curl = ['-sSf', '--unix-socket', path];
		expect((await execute('curl', [...curl, 'http://anything/api/x'])).stdout).toBe('Bearer first 0');
		const sent = await execute('curl', [...curl, '-T', large(), 'http://anything/api/x']);
		expect(sent.stdout).toBe('Bearer first 3000000');
		await stop(service.child);
		expect(existsSync(path)).toBe(false);
	});

	it('is told by a proxy that it may not, before it sends a large body', async () => {
		service = await serveIn(workspace, ['--access-log', 'off'], {GATEPASS_SECRET: secret});
		const {place} = service;
		const before = server.requests.length;
		const written = ['-o', '/dev/null', '-w', '%{http_code} %{size_upload}', '-T', large()];
		const refused = await execute('curl', ['-sS', ...written, `${place}/api/x`]);
		expect(refused.stdout).toBe('401 0');
		expect(server.requests.length).toBe(before);
		// `--anyauth` asks first, and then sends the body with the secret.
		const asked = await execute('curl', [
			'-sS',
			'--anyauth',
			'-u',
			`gatepass:${secret}`,
			'-T',
			large(),
			`${place}/api/x`,
		]);
		expect(asked.stdout).toBe('Bearer first 3000000');
	});
});

describeWith(real('systemd-socket-activate', 'systemd'), 'systemd-socket-activate', () => {
	/** Have it listen, and connect, at which it starts the service. Its Unix sockets are for all. */
	async function activate(place: string, options: object, env: Record<string, string>, isOwners = false) {
		const main = new URL('../../dist/src/cli/main.js', import.meta.url).pathname;
		const all: Record<string, string> = {PATH: process.env.PATH ?? '', HOME: workspace.folder, ...env};
		const passed = Object.keys(all).flatMap(name => ['-E', name]);
		const child = spawn(
			'systemd-socket-activate',
			['-l', place, ...passed, process.execPath, main, 'serve'],
			{
				cwd: workspace.folder,
				env: all,
			},
		);
		if (isOwners) {
			await expect.poll(() => existsSync(place)).toBe(true);
			chmodSync(place, 0o600);
		}
		const connects = async (): Promise<boolean> => {
			const socket = connect(options as never);
			socket.on('error', () => {});
			return once(socket, 'connect')
				.then(
					() => true,
					() => false,
				)
				.finally(() => socket.destroy());
		};
		await expect.poll(connects).toBe(true);
		return child;
	}

	it('hands over its socket, of either kind, whatever the configuration says', async () => {
		const [port = 0] = await freePorts(1);
		const path = workspace.path('activated.sock');
		for (const place of [`127.0.0.1:${port}`, path]) {
			const options = place === path ? {path} : {port, host: '127.0.0.1'};
			const child = await activate(place, options, {GATEPASS_SECRET: secret});
			service = await follow(child);
			expect(service.place).toBe(place === path ? `unix:${path}` : `http://${place}`);
			const args =
				place === path ? ['--unix-socket', path, 'http://anything/api/x'] : [`http://${place}/api/x`];
			const {stdout} = await execute('curl', ['-sSf', '-H', `X-Gatepass-Secret: ${secret}`, ...args]);
			expect(stdout).toBe('Bearer first 0');
			expect(await stop(child)).toBe(0);
		}
	});

	it('hands over a Unix socket for its owner alone, which needs no secret', async () => {
		const path = workspace.path('owners.sock');
		await workspace.configure(configuration('first', {listen: `unix:${path}`}));
		const child = await activate(path, {path}, {}, true);
		service = await follow(child);
		const {stdout} = await execute('curl', ['-sSf', '--unix-socket', path, 'http://anything/api/x']);
		expect(stdout).toBe('Bearer first 0');
		expect(await stop(child)).toBe(0);
	});

	it.each([
		[
			'a port for every machine',
			(port: number) => `0.0.0.0:${port}`,
			'127.0.0.1:0',
			{GATEPASS_SECRET: secret},
			/beyond this machine, and there is no TLS/,
		],
		[
			'a port that needs a secret, where none is asked for',
			(port: number) => `127.0.0.1:${port}`,
			'unix',
			{},
			/every local user could use the credentials/,
		],
		[
			'a Unix socket for all, where no secret is asked for',
			() => workspace.path('all.sock'),
			'unix',
			{},
			/not for its owner alone/,
		],
	] as const)('is refused %s', async (_what, placeOf, listen, env, message) => {
		const [port = 0] = await freePorts(1);
		const place = placeOf(port);
		const path = workspace.path('all.sock');
		const where = listen === 'unix' ? `unix:${path}` : listen;
		await workspace.configure(configuration('first', {listen: where}));
		const child = await activate(place, place === path ? {path} : {port, host: '127.0.0.1'}, env);
		let stderr = '';
		child.stderr.on('data', data => {
			stderr += data;
		});
		const [code] = await once(child, 'close');
		expect([code, stderr.replaceAll(/\s+/g, ' ')]).toEqual([1, expect.stringMatching(message)]);
	});
});
