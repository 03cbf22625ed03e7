import {X509Certificate} from 'node:crypto';
import {once} from 'node:events';
import {chmodSync, mkdirSync, readFileSync, statSync, utimesSync} from 'node:fs';
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {afterAll, afterEach, beforeAll, beforeEach, expect, test} from 'vitest';
import {checkNode} from '../../src/cli/check-node.ts';
import type {Finding} from '../../src/cli/finding.ts';
import {
	type MtlsServer,
	startMtlsServer,
	startTokenServer,
	type TokenServer,
} from '../../src/testing/index.ts';
import {subjectHash} from '../../src/x509/subject-hash.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

const clientSecret = 'canary-client-secret';

let mtls: MtlsServer;
let api: TokenServer;
let workspace: Workspace;
/** The address of a server that has nothing. */
let nothing: string;
let empty: Server;

beforeAll(async () => {
	[mtls, api] = await Promise.all([startMtlsServer(), startTokenServer()]);
	empty = createServer((_request, response) => response.writeHead(404).end());
	empty.listen(0, '127.0.0.1');
	await once(empty, 'listening');
	nothing = `http://127.0.0.1:${(empty.address() as AddressInfo).port}`;
});

afterAll(async () => {
	empty?.close();
	await Promise.all([mtls?.close(), api?.close()]);
});

beforeEach(async () => {
	workspace = await createWorkspace({
		cache: {url: 'sqlite:./cache/tokens.sqlite'},
		trust: [{match: mtls.url, ca: mtls.ca, only: true}],
		hostRules: [
			{match: mtls.url, strategy: 'grid-certificate', options: {...mtls.client}},
			{
				match: api.url,
				strategy: 'sso-client-credentials',
				options: {clientId: 'cli', clientSecret, tokenEndpoint: api.tokenEndpoint},
			},
		],
	});
});

afterEach(async () => {
	await workspace.close();
});

async function examine(...args: string[]): Promise<{code: number | null; findings: Finding[]}> {
	const {code, stdout, stderr} = await workspace.run(['doctor', '--json', ...args]);
	expect(stderr).toBe('');
	expect(stdout).not.toContain(clientSecret);
	return {code, findings: JSON.parse(stdout)};
}

/** What the Node at hand is like is no matter of these tests. */
const notOk = (findings: readonly Finding[]): Finding[] =>
	findings.filter(({check, outcome}) => check !== 'node' && outcome !== 'ok');

test('all is well', async () => {
	const requests = api.requests.length;
	const {code, findings} = await examine();
	expect(notOk(findings)).toEqual([]);
	expect(code).toBe(0);
	expect(findings.map(({check}) => check)).toEqual([
		'node',
		'configuration',
		'token cache',
		'credential',
		'credential',
		'key file',
		'clock',
	]);
	expect(api.requests).toHaveLength(requests);
	const text = await workspace.run(['doctor']);
	const isFixed = checkNode(process.versions.node).outcome === 'ok';
	expect(text.stdout).toMatch(isFixed ? /\nAll is well\.\n$/ : /\n1 warning\.\n$/);
	expect(text.stdout).toContain('\n✔ clock ');
});

test('mistakes in the configuration are findings like any other', async () => {
	const config = await workspace.write(
		'wrong.yaml',
		'hostRules:\n  - match: https://a.example.org\n    strategy: nonee\n',
	);
	const {code, findings} = await examine('-c', config);
	expect(code).toBe(1);
	expect(notOk(findings)).toMatchObject([
		{
			check: 'configuration',
			outcome: 'failed',
			what: "hostRules[0].strategy: there is no strategy 'nonee'",
			where: `${config}:3`,
			hint: 'Did you mean none?',
		},
	]);
	const text = await workspace.run(['doctor', '-c', 'wrong.yaml']);
	expect(text.code).toBe(1);
	expect(text.stdout).toContain('✖ configuration  wrong.yaml:3: hostRules[0].strategy: ');
	expect(text.stdout).toContain('→ Did you mean none?\n');
	expect(text.stdout).toMatch(/\n1 failure\.\n$/);
});

test('a rule that another one silently replaces', async () => {
	await workspace.configure({
		cache: {url: 'memory:'},
		hostRules: [
			{match: ['https://a.example.org', 'https://b.example.org'], strategy: 'none'},
			{match: 'https://B.example.org:443/', strategy: 'none'},
		],
	});
	const {code, findings} = await examine();
	expect(code).toBe(0);
	expect(notOk(findings)).toMatchObject([
		{
			check: 'rules',
			outcome: 'warning',
			what: 'The rule for https://b.example.org never wins: the one for https://B.example.org:443/ at gatepass.config.yaml:13 is equally specific and stands later',
			where: `${workspace.path('gatepass.config.yaml')}:6`,
			hint: 'Take one of the two out, or make one more specific',
		},
	]);
});

test('a CA folder with a policy that nobody understands', async () => {
	const pem = readFileSync(mtls.ca, 'utf8');
	const hash = subjectHash(new X509Certificate(pem));
	mkdirSync(workspace.path('cas'));
	await workspace.write(`cas/${hash}.0`, pem);
	const policy = await workspace.write(`cas/${hash}.signing_policy`, '# policy\nwhatever\n');
	await workspace.configure({
		trust: [{match: mtls.url, ca: './cas', only: true}],
		hostRules: [{match: mtls.url, strategy: 'none'}],
	});
	const {code, findings} = await examine('--network');
	expect(code).toBe(1);
	const what = `hich names its CA may give cannot be told from ${policy}:2: 'whatever' stands where 'access_id_CA' should`;
	expect(notOk(findings)).toMatchObject([
		{
			check: 'trust',
			outcome: 'warning',
			what: `W${what}`,
			where: `${workspace.path('gatepass.config.yaml')}:3`,
			hint: 'Correct the file, or bring the CA folder up to date',
		},
		{
			check: 'network',
			outcome: 'failed',
			what: `${new URL(mtls.url).host} cannot be trusted: w${what} (trust: ${workspace.path('gatepass.config.yaml')}:3)`,
			where: `${mtls.url}/`,
			hint: 'Correct the file, or bring the CA folder up to date',
		},
	]);
});

test('a CA file that holds no certificate', async () => {
	const ca = await workspace.write('ca.pem', 'nothing\n');
	await workspace.configure({
		trust: [{match: 'https://a.example.org', ca}],
		hostRules: [{match: '*', strategy: 'none'}],
	});
	const {code, findings} = await examine();
	expect(code).toBe(1);
	expect(notOk(findings)).toMatchObject([
		{
			check: 'trust',
			outcome: 'failed',
			what: `The CA file ${ca} holds no certificate`,
			where: `${workspace.path('gatepass.config.yaml')}:3`,
			hint: "Name another under 'trust'",
		},
	]);
});

test('a stub says that it is one', async () => {
	await workspace.configure({hostRules: [{match: 'https://a.example.org', strategy: 'kerberos-stub'}]});
	const {code, findings} = await examine();
	expect(code).toBe(0);
	expect(notOk(findings)).toMatchObject([
		{check: 'credential', outcome: 'warning', what: expect.stringContaining('stub that proves nothing')},
	]);
});

test('a key that others may read', async () => {
	const {key} = mtls.client;
	chmodSync(key, 0o640);
	try {
		const {code, findings} = await examine();
		expect(code).toBe(1);
		expect(notOk(findings)).toMatchObject([
			{
				check: 'credential',
				outcome: 'failed',
				what: expect.stringMatching(/client\.key may be read or changed by others \(mode 0640\)$/),
				where: expect.stringMatching(/gatepass\.config\.yaml:\d+$/),
				hint: `Run 'chmod 600 ${key}'`,
			},
		]);
	} finally {
		chmodSync(key, 0o600);
	}
});

test('a certificate that has expired, with its key looked at all the same', async () => {
	const ended = await mtls.authority.issue('ended', {
		subject: 'CN=bob',
		notAfter: Date.now() - 86_400_000,
		notBefore: 0,
	});
	const ending = await mtls.authority.issue('ending', {
		subject: 'CN=carol',
		notAfter: Date.now() + 3_600_000,
		notBefore: Date.now() - 86_400_000,
	});
	chmodSync(ended.key, 0o400);
	await workspace.configure({
		hostRules: [
			{match: 'https://a.example.org', strategy: 'grid-certificate', options: {...ended}},
			{match: 'https://b.example.org', strategy: 'grid-certificate', options: {...ending}},
		],
	});
	const {code, findings} = await examine();
	expect(code).toBe(1);
	expect(notOk(findings)).toMatchObject([
		{
			check: 'credential',
			outcome: 'failed',
			what: expect.stringMatching(
				/^https:\/\/a\.example\.org \(grid-certificate\): The certificate .* expired on /,
			),
			hint: 'Renew it',
		},
		{check: 'credential', outcome: 'warning', where: ending.certificate, hint: 'Renew it'},
	]);
	expect(findings).toContainEqual(
		expect.objectContaining({check: 'key file', outcome: 'ok', where: ended.key}),
	);
});

test('a token cache that others may read, as it was before doctor opened it', async () => {
	await workspace.run(['token', '--show', api.url]);
	const cache = workspace.path('cache/tokens.sqlite');
	expect(notOk((await examine()).findings)).toEqual([]);
	chmodSync(cache, 0o644);
	chmodSync(workspace.path('cache'), 0o755);
	const {code, findings} = await examine();
	expect(code).toBe(1);
	expect(notOk(findings)).toMatchObject([
		{check: 'token cache', outcome: 'failed', where: cache, what: expect.stringContaining('mode 0644')},
		{
			check: 'token cache',
			outcome: 'warning',
			where: workspace.path('cache'),
			what: expect.stringContaining('mode 0755'),
		},
	]);
	expect(statSync(cache).mode & 0o777).toBe(0o600);
});

test('a token cache that cannot be opened', async () => {
	mkdirSync(workspace.path('cache/tokens.sqlite'), {recursive: true, mode: 0o700});
	const {code, findings} = await examine();
	expect(code).toBe(1);
	expect(notOk(findings)).toMatchObject([
		{check: 'token cache', outcome: 'failed', what: expect.stringContaining('cannot be used')},
	]);
});

test('variables that others may read, and a clock that is behind', async () => {
	const env = await workspace.write('.env', 'A=1\n');
	chmodSync(env, 0o644);
	const tomorrow = Date.now() / 1000 + 86_400;
	utimesSync(env, tomorrow, tomorrow);
	const {code, findings} = await examine();
	expect(code).toBe(0);
	expect(notOk(findings)).toMatchObject([
		{check: 'variables', outcome: 'warning', where: env, hint: expect.stringContaining('chmod 600')},
		{check: 'clock', outcome: 'warning', where: env},
	]);
});

test('--network asks hosts and token endpoints without a credential, and for a token with one', async () => {
	const before = api.requests.length;
	const {code, findings} = await examine('--network');
	expect(code).toBe(0);
	expect(findings.slice(-4)).toMatchObject([
		{
			check: 'network',
			outcome: 'ok',
			where: `${mtls.url}/`,
			what: 'it answers, and demands a client certificate',
		},
		{check: 'network', outcome: 'ok', where: `${api.url}/`, what: 'it answers (401)'},
		{check: 'clock', outcome: 'ok', where: `${api.url}/`},
		{check: 'network', outcome: 'ok', where: api.tokenEndpoint},
	]);
	expect(findings.filter(({check}) => check === 'token')).toMatchObject([
		{outcome: 'ok', what: expect.stringMatching(/: a token was issued$/)},
	]);
	const asked = api.requests.slice(before);
	expect(asked.map(({method}) => method).toSorted()).toEqual(['HEAD', 'HEAD', 'POST']);
	for (const {headers} of asked.filter(({method}) => method === 'HEAD')) {
		expect(headers).not.toHaveProperty('authorization');
	}
});

test('--network tells of a token endpoint that is somewhere else, and of a path that is not there', async () => {
	await workspace.configure({
		cache: {url: 'memory:'},
		hostRules: [
			{
				match: ['http://127.0.0.1:1', 'https://*.example.org'],
				strategy: 'sso-client-credentials',
				options: {clientId: 'a', clientSecret: 'canary', tokenEndpoint: `${nothing}/realms/tokn`},
			},
			{match: `${nothing}/api`, strategy: 'none'},
		],
	});
	const {code, findings} = await examine('--network');
	expect(code).toBe(1);
	expect(notOk(findings)).toEqual(
		expect.arrayContaining([
			expect.objectContaining({check: 'token', outcome: 'failed', what: expect.stringMatching(/tokn.*404/)}),
			expect.objectContaining({
				check: 'network',
				outcome: 'warning',
				where: `${nothing}/api`,
				what: 'It answers 404: there is nothing at this address',
			}),
		]),
	);
	expect(JSON.stringify(findings)).not.toContain('canary');
});

test('--network tells who does not answer, and whom no CA vouches for', async () => {
	await workspace.configure({
		cache: {url: 'memory:'},
		hostRules: [
			{match: 'http://127.0.0.1:1', strategy: 'none'},
			{match: mtls.url, strategy: 'none'},
			{match: 'https://*.example.org', strategy: 'none'},
		],
	});
	const {code, findings} = await examine('--network');
	expect(code).toBe(1);
	expect(notOk(findings)).toMatchObject([
		{
			check: 'network',
			outcome: 'failed',
			where: 'http://127.0.0.1:1/',
			what: expect.stringContaining('ECONNREFUSED'),
		},
		{
			check: 'network',
			outcome: 'failed',
			where: `${mtls.url}/`,
			what: expect.stringContaining('no trusted CA vouches for its certificate'),
			hint: expect.stringContaining("add its CA under 'trust'"),
		},
	]);
});
