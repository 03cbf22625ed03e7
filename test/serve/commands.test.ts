import {execFileSync} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, mkdirSync, readdirSync, statSync, writeFileSync} from 'node:fs';
import {request as requestHttp} from 'node:http';
import {createServer} from 'node:net';
import {text} from 'node:stream/consumers';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, it} from 'vitest';
import {createWorkspace, type Workspace} from '../cli/command-line.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {untilServing} from '../servers/process.ts';
import {type StartedServer, startServer} from './start-proxy.ts';
import {serveIn, stop} from './start-service.ts';

const secret = 'x'.repeat(40);
let server: StartedServer;
let workspace: Workspace;

beforeAll(async () => {
	server = await startServer((request, response) => response.end(request.headers.authorization ?? 'none'));
});
afterAll(() => server.close());
beforeEach(async () => {
	workspace = await createWorkspace();
	await workspace.configure(configuration('the-token'));
});
afterEach(() => workspace.close());

function configuration(token: string, serve: object = {}) {
	return {
		cache: {url: 'memory:'},
		hostRules: [{match: `http://127.0.0.1:${server.port}`, strategy: 'static-token', options: {token}}],
		serve: {listen: '127.0.0.1:0', routes: {'/api': server.origin}, forward: true, ...serve},
	};
}

const startService = (
	args: readonly string[] = [],
	env: Record<string, string> = {GATEPASS_SECRET: secret},
) => serveIn(workspace, args, env);

const bearer = {authorization: `Bearer ${secret}`};

describe('gatepass serve', () => {
	it('serves, logs lines of JSON without secrets, and stops when it is told to', async () => {
		const {child, place, stdout} = await startService();
		expect(await (await fetch(`${place}/api/x?secret=query`, {headers: bearer})).text()).toBe(
			'Bearer the-token',
		);
		expect((await fetch(`${place}/api/x`)).status).toBe(401);
		expect(await stop(child)).toBe(0);
		const lines = stdout()
			.trim()
			.split('\n')
			.map(line => JSON.parse(line));
		expect(lines).toMatchObject([
			{form: 'reverse', method: 'GET', status: 200, target: `${server.origin}/x`, rule: server.origin},
			{form: 'reverse', method: 'GET', status: 401, code: 'secret-missing'},
		]);
		expect(stdout()).not.toMatch(/the-token|query|xxxx/);
	});

	it('records spans through OpenTelemetry, where it is told to and an SDK is set up', async () => {
		const sdk = new URL('printed-spans.mjs', import.meta.url).href;
		const env = {GATEPASS_SECRET: secret, NODE_OPTIONS: `--import ${sdk}`};
		const {child, place, stderr} = await startService(['--telemetry'], env);
		await (await fetch(`${place}/api/x?color=blue&sig=hidden`, {headers: bearer})).text();
		await expect.poll(stderr).toMatch(/^span .*/m);
		const [, span = ''] = /^span (.*)$/m.exec(stderr()) ?? [];
		expect(JSON.parse(span)).toMatchObject({
			name: 'GET',
			attributes: {
				'url.full': `${server.origin}/x?color=blue&sig=REDACTED`,
				'http.response.status_code': 200,
				'gatepass.rule': server.origin,
			},
		});
		await stop(child);
	});

	it('makes a secret and shows it once', async () => {
		const {child, place, said, stderr} = await startService([], {});
		await said(/not shown again/);
		const [, made = ''] = /stays\): (\S+)/.exec(stderr().replaceAll(/\s+/g, ' ')) ?? [];
		expect(Buffer.from(made, 'base64url').length).toBe(32);
		expect((await fetch(`${place}/api/`, {headers: {authorization: `Bearer ${made}`}})).status).toBe(200);
		await stop(child);
	});

	it('listens on a Unix socket for its owner alone, also where one was left behind', async () => {
		const path = workspace.path('proxy.sock');
		for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
			const {child, place} = await startService(['--listen', `unix:${path}`], {});
			expect(place).toBe(`unix:${path}`);
			expect(statSync(path).mode & 0o777).toBe(0o600);
			const request = requestHttp({socketPath: path, path: '/api/', headers: {host: 'localhost'}});
			request.end();
			const [response] = await once(request, 'response');
			expect(await text(response)).toBe('Bearer the-token');
			child.kill(signal);
			await once(child, 'close');
			expect(existsSync(path)).toBe(signal === 'SIGKILL');
		}
	});

	it('says what to do where the port is taken, or others could connect', async () => {
		const taken = createServer();
		await new Promise<void>(resolve => taken.listen(0, '127.0.0.1', resolve));
		const {port} = taken.address() as {port: number};
		const outcome = await workspace.run(['serve', '--listen', `127.0.0.1:${port}`]);
		expect([outcome.code, outcome.stderr.replaceAll(/\s+/g, ' ')]).toEqual([
			1,
			expect.stringMatching(/is taken by another program\. Stop/),
		]);
		taken.close();
		expect((await workspace.run(['serve', '--listen', '0.0.0.0:0'])).code).toBe(2);
		await workspace.configure(configuration('x', {listen: `unix:${workspace.path('nowhere')}/x.sock`}));
		expect((await workspace.run(['serve'])).stderr).toMatch(/The folder of \S+nowhere\/x\.sock is not there/);
		await workspace.configure(configuration('x', {listen: '0.0.0.0:0', allowLocalUsers: true}));
		const {code, stderr} = await workspace.run(['serve']);
		expect(code).toBe(3);
		expect(stderr).toMatch(/add tls/);
		expect(stderr).toMatch(/the secret is always asked/);
	});

	it('takes up a new configuration on change and on SIGHUP, and keeps the old one where the new one is wrong', async () => {
		const {child, place, said} = await startService();
		const ask = async (): Promise<string> => (await fetch(`${place}/api/`, {headers: bearer})).text();
		expect(await ask()).toBe('Bearer the-token');
		await workspace.configure(configuration('the-second'));
		await said(/new configuration is in force/);
		expect(await ask()).toBe('Bearer the-second');
		await workspace.write('gatepass.config.yaml', 'hostRules: [{match: 1}]');
		child.kill('SIGHUP');
		await said(/the new configuration is not in force/);
		expect(await ask()).toBe('Bearer the-second');
		const health = await fetch(`${place}/-/health`, {headers: bearer});
		expect([health.status, await health.json()]).toEqual([
			503,
			{status: 'fail', unusable: [], reloadFailure: expect.stringContaining('hostRules[0]')},
		]);
		await workspace.configure(configuration('the-third'));
		await expect.poll(ask).toBe('Bearer the-third');
		expect((await fetch(`${place}/-/health`, {headers: bearer})).status).toBe(200);
		await stop(child);
	});

	it('finishes what is under way', async () => {
		const waiting = Promise.withResolvers<void>();
		const slow = await startServer(async (_request, response) => {
			response.write('a beginning, ');
			await waiting.promise;
			response.end('and an end');
		});
		await workspace.configure(configuration('x', {routes: {'/slow': slow.origin}}));
		const {child, place, said} = await startService();
		const response = await fetch(`${place}/slow/`, {headers: bearer});
		child.kill('SIGTERM');
		await said(/Stopping/);
		await expect(fetch(`${place}/slow/`, {headers: bearer})).rejects.toThrow();
		waiting.resolve();
		expect(await response.text()).toBe('a beginning, and an end');
		expect(await once(child, 'close')).toEqual([0, null]);
		await slow.close();
	});

	it('keeps its CA in a file of its own, and makes another one for other hosts', async () => {
		await workspace.configure({
			...configuration('x'),
			hostRules: [{match: 'https://a.example.org', strategy: 'static-token', options: {token: 'x'}}],
		});
		const file = workspace.path('.local/state/gatepass/proxy-ca.json');
		const read = (): string => execFileSync('cat', [file]).toString();
		const run = async (): Promise<string> => {
			await stop((await startService()).child);
			expect(statSync(file).mode & 0o777).toBe(0o600);
			return read();
		};
		const first = await run();
		expect(await run()).toBe(first);
		await workspace.configure({
			...configuration('x'),
			hostRules: [{match: 'https://b.example.org', strategy: 'static-token', options: {token: 'x'}}],
		});
		expect(await run()).not.toBe(first);
		execFileSync('chmod', ['644', file]);
		const {code, stderr} = await workspace.run(['serve']);
		expect([code, stderr.replaceAll(/\s+/g, ' ')]).toEqual([1, expect.stringContaining('Delete it')]);
	});

	it('prints units for systemd that systemd takes', async () => {
		for (const scope of ['user', 'system']) {
			const {code, stdout} = await workspace.run([
				'serve',
				'--listen',
				'127.0.0.1:8642',
				'--print-units',
				scope,
			]);
			expect(code).toBe(0);
			const folder = workspace.path(`units-${scope}`);
			mkdirSync(folder);
			for (const part of stdout.split(/^# (?=\S*gatepass\.)/m).slice(1)) {
				const [, name = ''] = /^\S*?(gatepass\.\w+)/.exec(part) ?? [];
				writeFileSync(`${folder}/${name}`, part.slice(part.indexOf('\n')));
			}
			expect(readdirSync(folder)).toEqual(['gatepass.service', 'gatepass.socket']);
			let told = '';
			try {
				told = execFileSync('systemd-analyze', ['verify', `${folder}/gatepass.service`], {
					stdio: 'pipe',
					env: {...process.env, SYSTEMD_LOG_LEVEL: 'warning'},
				}).toString();
			} catch (error) {
				const {code: missing, stderr = ''} = error as {code?: string; stderr?: Buffer};
				told = missing === 'ENOENT' ? '' : String(stderr);
			}
			expect(told).not.toMatch(/Unknown|Failed to parse|Invalid/);
		}
	});

	it('takes the socket that systemd hands over', async () => {
		const script = `
import os, socket, sys
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
os.dup2(s.fileno(), 3); os.set_inheritable(3, True)
os.environ['LISTEN_FDS'] = '1'; os.environ['LISTEN_PID'] = str(os.getpid())
os.execv(sys.argv[1], sys.argv[1:])`;
		const main = new URL('../../dist/src/cli/main.js', import.meta.url).pathname;
		const {spawn} = await import('node:child_process');
		const child = spawn('python3', ['-c', script, process.execPath, main, 'serve'], {
			cwd: workspace.folder,
			env: {PATH: process.env.PATH, HOME: workspace.folder, GATEPASS_SECRET: secret},
		});
		const place = await untilServing(child);
		expect(await (await fetch(`${place}/api/`, {headers: bearer})).text()).toBe('Bearer the-token');
		await stop(child);
	});
});

const systemdNotify = {
	name: 'systemd-notify',
	install: 'apt-get install systemd',
	whyUnavailable: () =>
		findProgram('systemd-notify') === undefined ? 'there is no program systemd-notify' : undefined,
};

describeWith(systemdNotify, 'a service of the type notify', () => {
	it('tells systemd when clients can connect, and when it stops', async () => {
		const {spawn} = await import('node:child_process');
		const path = workspace.path('notify');
		const script = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.bind(sys.argv[1]); print('bound', flush=True)
while True: print(s.recv(4096).decode(), flush=True)`;
		const listener = spawn('python3', ['-c', script, path], {stdio: ['ignore', 'pipe', 'ignore']});
		let heard = '';
		listener.stdout.on('data', data => {
			heard += data;
		});
		await expect.poll(() => heard).toContain('bound');
		const {child, place} = await startService([], {GATEPASS_SECRET: secret, NOTIFY_SOCKET: path});
		await expect.poll(() => heard).toMatch(/READY=1/);
		expect(heard).toContain(`STATUS=Serving ${place}`);
		expect(heard).toContain(`MAINPID=${child.pid}`);
		await stop(child);
		expect(heard).toContain('STOPPING=1');
		const ended = once(listener, 'exit');
		listener.kill('SIGKILL');
		await ended;
	});
});

describe('gatepass run', () => {
	it('gives a command the credentials, is transparent to stdin and stdout, and returns its exit code', async () => {
		const command = `cat; curl -s ${server.origin}/; echo " $HTTPS_PROXY" >&2; exit 7`;
		const {code, stdout, stderr} = await workspace.run(['run', '--', 'sh', '-c', command], {
			input: 'from stdin, ',
		});
		expect([code, stdout]).toEqual([7, 'from stdin, Bearer the-token']);
		expect(stderr).toMatch(/^ http:\/\/gatepass:[\w-]{43}@127\.0\.0\.1:\d+\n$/);
	});

	it('leaves no file behind but links to CAs, which the next run uses', async () => {
		const show =
			'dirname "$SSL_CERT_FILE"; readlink -f "$X509_CERT_DIR"; openssl x509 -hash -noout -in "$NODE_EXTRA_CA_CERTS"; ls "$X509_CERT_DIR" | wc -l';
		const run = async (): Promise<string[]> => {
			const {stdout} = await workspace.run(['run', '--', 'sh', '-c', show]);
			return stdout.trim().split('\n');
		};
		const [first = '', folder = '', hash = '', files] = await run();
		expect(first).toMatch(/gatepass-run-/);
		expect(existsSync(first)).toBe(false);
		expect(statSync(folder).mode & 0o077).toBe(0);
		expect(existsSync(`${folder}/${hash}.0`)).toBe(false);
		expect(readdirSync(folder).length).toBe(Number(files) - 1);
		const again = await run();
		expect([again[1], again[3]]).toEqual([folder, files]);
	});

	it.each([
		['SIGTERM', 143],
		['SIGINT', 130],
		['SIGHUP', 129],
	] as const)('passes %s, and ends by it', async (signal, number) => {
		// Not a shell: dash may lose a signal that comes while it starts another program.
		const program = `process.once('${signal}', () => {
			process.stdout.write('got it\\n', () => process.kill(process.pid, '${signal}'));
		});
		process.stdout.write('ready\\n');
		setInterval(() => {}, 1000);`;
		const child = workspace.start(['run', '--', process.execPath, '-e', program]);
		await once(child.stdout as NodeJS.ReadableStream, 'data');
		child.kill(signal);
		const [data] = await once(child.stdout as NodeJS.ReadableStream, 'data');
		expect(String(data)).toBe('got it\n');
		const [code, by] = await once(child, 'close');
		expect(by ?? code).toBe(by === null ? number : signal);
	});

	it('is a shell to what is not there', async () => {
		const {code, stderr} = await workspace.run(['run', '--', 'no-such-program']);
		expect([code, stderr.replaceAll(/\s+/g, ' ')]).toEqual([
			127,
			expect.stringContaining('there is no such program'),
		]);
		const file = await workspace.write('plain', 'text');
		expect((await workspace.run(['run', '--', file])).code).toBe(126);
		expect((await workspace.run(['run'])).code).toBe(2);
	});

	it('gives the command the terminal', async () => {
		const {stdout} = await workspace.runOnTerminal([
			'run',
			'--',
			'sh',
			'-c',
			'test -t 0 && test -t 1 && stty size',
		]);
		expect(stdout).toContain('40 120');
	});
});
