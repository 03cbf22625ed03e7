/** Real programs that know nothing of gatepass, by `gatepass run` and by the reverse form. */
import {type ChildProcess, execFile} from 'node:child_process';
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {text} from 'node:stream/consumers';
import {promisify} from 'node:util';
import {afterAll, beforeAll, describe, expect, it, vi} from 'vitest';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {createWorkspace, type Workspace} from '../cli/command-line.ts';
import {type ApacheWithUsers, apache, startApacheMtls} from '../servers/apache.ts';
import {
	type ApacheNegotiate,
	apacheNegotiate,
	environmentOf,
	startApacheNegotiate,
} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {type Kdc, mitKdc, startKdc} from '../servers/kdc.ts';
import {clientPrograms} from './programs.ts';
import {type StartedServer, startServer} from './start-proxy.ts';

const secret = 's'.repeat(43);
const folder = mkdtempSync(join(tmpdir(), 'gatepass-programs-'));
const programs = clientPrograms(folder);
afterAll(() => rmSync(folder, {recursive: true}));

/** A configuration for one server, with the proxy that is running for its reverse form. */
interface Stage {
	readonly workspace: Workspace;
	readonly env: Record<string, string>;
	/** What a path of the server is by the reverse form. */
	local(path: string): string;
	close(): Promise<void>;
}

async function createStage(
	origin: string,
	ca: string,
	rule: {strategy: string; options?: Record<string, unknown>},
	env: Record<string, string> = {},
): Promise<Stage> {
	const workspace = await createWorkspace({
		cache: {url: 'memory:'},
		trust: [{match: origin, ca, only: true}],
		hostRules: [{match: origin, ...rule}],
		serve: {listen: '127.0.0.1:0', routes: {'/server': origin}},
	});
	const child: ChildProcess = workspace.start(['serve', '--access-log', 'off'], {
		env: {...env, GATEPASS_SECRET: secret},
	});
	let stderr = '';
	child.stderr?.on('data', data => {
		stderr += data;
	});
	await vi.waitFor(() => expect(stderr).toMatch(/serves \S+\n/), {timeout: 20_000});
	const [, place] = /serves (\S+)/.exec(stderr) ?? [];
	return {
		workspace,
		env,
		local: path => `${place}/server${path}`,
		async close() {
			child.kill('SIGTERM');
			await once(child, 'close');
			await workspace.close();
		},
	};
}

async function byRun({workspace, env}: Stage, command: readonly string[]): Promise<string> {
	const {code, stdout, stderr} = await workspace.run(['run', '--', ...command], {env});
	expect(code, stderr).toBe(0);
	return stdout;
}

async function directly(command: readonly string[]): Promise<string> {
	const [file = '', ...args] = command;
	const {stdout} = await promisify(execFile)(file, args, {env: {PATH: process.env.PATH, HOME: folder}});
	return stdout;
}

describe('an API with tokens', () => {
	let authority: TestAuthority;
	let api: StartedServer;
	let stage: Stage;
	let origin: string;
	const commit = '0123456789abcdef0123456789abcdef01234567';

	beforeAll(async () => {
		authority = await createTestAuthority();
		const certificate = await authority.issue('api', {subject: 'CN=localhost', hosts: ['localhost']});
		api = await startServer(async (request, response) => {
			const body = await text(request);
			if (request.headers.authorization !== 'Bearer the-token') response.writeHead(401).end();
			else if (request.url?.startsWith('/repository/info/refs')) response.end(`${commit}\trefs/heads/main\n`);
			else if (request.url === '/repository/HEAD') response.end('ref: refs/heads/main\n');
			else response.end(`welcome ${body}`);
		}, certificate);
		origin = `https://localhost:${api.port}`;
		stage = await createStage(origin, authority.ca, {
			strategy: 'static-token',
			options: {token: 'the-token'},
		});
	});
	afterAll(async () => {
		await stage?.close();
		await api?.close();
		await authority?.close();
	});

	for (const {name, server, get, post} of programs) {
		describeWith(server, name, () => {
			it('by run', async () => {
				expect(await byRun(stage, get(`${origin}/x`))).toContain('welcome');
				if (post !== undefined)
					expect(await byRun(stage, post(`${origin}/x`, 'body'))).toContain('welcome body');
			});
			it('by the reverse form', async () => {
				expect(await directly(get(stage.local('/x'), secret))).toContain('welcome');
				if (post !== undefined) {
					expect(await directly(post(stage.local('/x'), 'body', secret))).toContain('welcome body');
				}
			});
		});
	}

	it('git', async () => {
		expect(await byRun(stage, ['git', 'ls-remote', `${origin}/repository`])).toContain(commit);
		const local = stage.local('/repository').replace('://', `://gatepass:${secret}@`);
		expect(await directly(['git', 'ls-remote', local])).toContain(commit);
	});

	it('davix', async () => {
		const url = stage.local('/x');
		expect(await directly(['davix-get', '-H', `X-Gatepass-Secret: ${secret}`, url])).toContain('welcome');
	});
});

describeWith(apache, 'Apache with client certificates', () => {
	let server: ApacheWithUsers;
	let stage: Stage;

	beforeAll(async () => {
		server = await startApacheMtls();
		stage = await createStage(server.urls['TLSv1.3'], server.ca, {
			strategy: 'grid-certificate',
			options: {...server.users.alice},
		});
	});
	afterAll(async () => {
		await stage?.close();
		await server?.close();
	});

	for (const {name, server: needed, get, post} of programs) {
		describeWith(needed, name, () => {
			it('by run', async () => {
				expect(await byRun(stage, get(`${server.urls['TLSv1.3']}/alice/page`))).toContain('served by Apache');
				if (post !== undefined) await byRun(stage, post(`${server.urls['TLSv1.3']}/alice/page`, 'body'));
			});
			it('by the reverse form', async () => {
				expect(await directly(get(stage.local('/alice/page'), secret))).toContain('served by Apache');
			});
		});
	}
});

describeWith([mitKdc, apacheNegotiate], 'Apache with Negotiate', () => {
	let kdc: Kdc;
	let server: ApacheNegotiate;
	let stage: Stage;
	let origin: string;

	beforeAll(async () => {
		kdc = await startKdc();
		server = await startApacheNegotiate(kdc);
		origin = `https://localhost:${server.ports.https}`;
		const env = {...environmentOf(kdc), KRB5CCNAME: await kdc.ticket()};
		stage = await createStage(
			origin,
			server.ca,
			{strategy: 'kerberos', options: {canonicalizeHostname: false}},
			env,
		);
	});
	afterAll(async () => {
		await stage?.close();
		await server?.close();
		await kdc?.close();
	});

	for (const {name, server: needed, get, post} of programs) {
		describeWith(needed, name, () => {
			it('by run', async () => {
				expect(await byRun(stage, get(`${origin}/negotiate/`))).toContain('served by Apache');
				if (post !== undefined) await byRun(stage, post(`${origin}/negotiate/`, 'body'));
			});
			it('by the reverse form', async () => {
				expect(await directly(get(stage.local('/negotiate/'), secret))).toContain('served by Apache');
			});
		});
	}
});
