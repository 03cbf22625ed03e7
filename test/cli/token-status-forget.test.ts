import {afterAll, beforeAll, expect, test} from 'vitest';
import {startMtlsServer, startTokenServer, type TokenServer} from '../../src/testing/index.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

const clientSecret = 'canary-client-secret';

let api: TokenServer;
let workspace: Workspace;

beforeAll(async () => {
	api = await startTokenServer();
	workspace = await createWorkspace({
		cache: {url: 'sqlite:./cache/tokens.sqlite'},
		hostRules: [
			{
				match: api.url,
				strategy: 'sso-client-credentials',
				options: {clientId: 'cli', clientSecret, tokenEndpoint: api.tokenEndpoint},
			},
			{match: 'https://*.dev.example.org', strategy: 'kerberos-stub'},
		],
	});
});

afterAll(async () => {
	await Promise.all([api?.close(), workspace?.close()]);
});

/** The token that `gatepass token` prints. */
async function token(...args: string[]): Promise<string> {
	const {code, stdout, stderr} = await workspace.run(['token', '--show', api.url, ...args]);
	expect({code, stderr}).toEqual({code: 0, stderr: ''});
	return stdout.trimEnd();
}

test('a token goes into a pipe with --show only', async () => {
	const refused = await workspace.run(['token', api.url]);
	expect({code: refused.code, stdout: refused.stdout}).toEqual({code: 2, stdout: ''});
	expect(refused.stderr).toContain('Add --show');
	expect(api.issued).toBe(0);

	const value = await token();
	expect(value).toMatch(/^[\w-]+$/);
	const answer = await fetch(api.url, {headers: {authorization: `Bearer ${value}`}});
	expect(answer.status).toBe(200);
});

test('runs share the cached token until it is forgotten or --fresh is given', async () => {
	const first = await token();
	expect(await token()).toBe(first);
	const fresh = await token('--fresh');
	expect(fresh).not.toBe(first);

	const {code, stdout} = await workspace.run(['forget', api.url]);
	expect(code).toBe(0);
	expect(stdout).toBe(
		`Nothing is cached any more for 1 rule:\n  ${api.url} (sso-client-credentials, gatepass.config.yaml:6)\n`,
	);
	expect(await token()).not.toBe(fresh);
});

test('token --json says when the token ends', async () => {
	const result = JSON.parse(await token('--json'));
	expect(result).toEqual({token: expect.any(String), type: 'Bearer', expiresAt: expect.any(Number)});
	expect(result.expiresAt).toBeGreaterThan(Date.now());
});

test('forget without a URL is for all rules; --json lists them', async () => {
	const before = await token();
	const {code, stdout} = await workspace.run(['forget', '--json']);
	expect(code).toBe(0);
	expect(JSON.parse(stdout)).toEqual({
		forgotten: [
			expect.objectContaining({match: api.url, strategy: 'sso-client-credentials'}),
			expect.objectContaining({match: 'https://*.dev.example.org', strategy: 'kerberos-stub'}),
		],
	});
	expect(await token()).not.toBe(before);
});

test('a rule that cannot forget is told, and keeps no other from it', async () => {
	const config = await workspace.write(
		'one-cannot.json',
		JSON.stringify({
			cache: {url: 'sqlite:./cache/tokens.sqlite'},
			hostRules: [
				{
					match: 'https://a.example.org',
					strategy: 'sso-client-credentials',
					options: {tokenEndpoint: api.tokenEndpoint},
				},
				{
					match: api.url,
					strategy: 'sso-client-credentials',
					options: {clientId: 'cli', clientSecret, tokenEndpoint: api.tokenEndpoint},
				},
			],
		}),
	);
	const before = await token();
	const {code, stderr} = await workspace.run(['-c', config, 'forget']);
	expect(code).toBe(1);
	expect(stderr).toContain('the variable SSO_CLIENT_ID is not set');
	expect(await token()).not.toBe(before);
});

test('forget fails when the token store does', async () => {
	const file = await workspace.write('no-folder', '');
	const config = await workspace.write(
		'broken-store.json',
		JSON.stringify({
			cache: {url: `sqlite:${file}/tokens.sqlite`},
			hostRules: [
				{
					match: api.url,
					strategy: 'sso-client-credentials',
					options: {clientId: 'cli', clientSecret, tokenEndpoint: api.tokenEndpoint},
				},
			],
		}),
	);
	const {code, stderr} = await workspace.run(['-c', config, 'forget', '--json']);
	expect(code).toBe(1);
	expect(JSON.parse(stderr).error.code).toBe('ERR_GATEPASS_TOKEN_CACHE');
});

test.each(['token', 'forget'])('%s for a URL without a rule says so', async command => {
	const args = command === 'token' ? [command, '--show'] : [command];
	const {code, stdout, stderr} = await workspace.run([...args, 'https://nobody.example.org/a?b=canary']);
	expect({code, stdout}).toEqual({code: 1, stdout: ''});
	expect(stderr).toMatch(/^error: There is no rule for https:\/\/nobody\.example\.org\/a\?…, so /);
});

test('token for a rule without a bearer token says so', async () => {
	const {code, stderr} = await workspace.run(['token', '--show', 'https://a.dev.example.org']);
	expect(code).toBe(1);
	expect(stderr).toContain('uses kerberos-stub, which shows no bearer token');
});

test('status tells each rule, and that the stub is one', async () => {
	await token();
	const {code, stdout, stderr} = await workspace.run(['status']);
	expect({code, stderr}).toEqual({code: 0, stderr: ''});
	expect(stdout.split('\n').map(line => line.replaceAll(/ {2,}/g, '  '))).toEqual([
		'  rule  strategy  where',
		`✔ ${api.url}  sso-client-credentials  gatepass.config.yaml:6`,
		expect.stringMatching(
			/^ {2}token for client cli from 127\.0\.0\.1:\d+, until [\d-]+ [\d:]+ UTC \(in \d+ minutes\)$/,
		),
		'! https://*.dev.example.org  kerberos-stub  gatepass.config.yaml:15',
		expect.stringContaining('stub that proves nothing to a real server'),
		'',
	]);
});

test('on a terminal, status draws what expires when, the soonest first', async () => {
	const mtls = await startMtlsServer();
	try {
		const token = {clientId: 'cli', clientSecret, tokenEndpoint: api.tokenEndpoint};
		const config = await workspace.write(
			'timeline.json',
			JSON.stringify({
				cache: {url: 'sqlite:./cache/tokens.sqlite'},
				hostRules: [
					{match: mtls.url, strategy: 'grid-certificate', options: mtls.client},
					{match: api.url, strategy: 'sso-client-credentials', options: token},
				],
			}),
		);
		await workspace.run(['-c', config, 'token', '--show', api.url]);
		const env = {CI: 'true', NO_COLOR: '1'};
		const {stdout} = await workspace.runOnTerminal(['-c', config, 'status'], {columns: 80, env});
		const bars = stdout.split(/\r?\n/).filter(line => line.includes('━'));
		expect(bars).toEqual([
			expect.stringMatching(new RegExp(`^${api.url} +━{1,5} +\\d+ minutes$`)),
			expect.stringMatching(new RegExp(`^${mtls.url} +━{20,} +\\d+ (?:days|hours)$`)),
		]);
		for (const bar of bars) expect(bar.length).toBeLessThanOrEqual(80);
		const piped = await workspace.run(['-c', config, 'status']);
		expect(piped.stdout).not.toContain('━');
	} finally {
		await mtls.close();
	}
});

test('status --json is what gatepass.status() gives; exit code 1 when a credential is missing', async () => {
	const config = await workspace.write(
		'missing.json',
		JSON.stringify({hostRules: [{match: 'https://grid.example.org', strategy: 'grid-certificate'}]}),
	);
	const {code, stdout} = await workspace.run(['status', '--json', '-c', config]);
	expect(code).toBe(1);
	expect(JSON.parse(stdout)).toEqual([
		{
			match: 'https://grid.example.org',
			strategy: 'grid-certificate',
			source: `${config}:1`,
			available: false,
			detail: expect.stringContaining('There is no grid certificate'),
			diagnostics: [expect.objectContaining({code: 'grid-certificate-not-found', severity: 'error'})],
		},
	]);
});
