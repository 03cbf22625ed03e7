import {once} from 'node:events';
import {readdirSync, readFileSync} from 'node:fs';
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {startTokenServer} from '../../src/testing/index.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

const commands = ['request', 'explain', 'token', 'status', 'forget', 'doctor', 'init'];

let workspace: Workspace;
/** Answers /slow when `release` is called, and /endless for ever. */
let server: Server;
let url: string;
let arrived: () => void;
let release: () => void;

beforeAll(async () => {
	workspace = await createWorkspace({
		cache: {url: 'memory:'},
		hostRules: [
			{match: 'https://api.example.org/runs', strategy: 'kerberos-stub'},
			{match: 'https://*.example.org', strategy: 'none'},
		],
	});
	server = createServer((request, response) => {
		if (request.url === '/endless') {
			const more = (): void => {
				while (response.write('line\n'.repeat(1000)));
			};
			response.on('drain', more);
			more();
			return;
		}
		release = () => response.end('done\n');
		arrived();
	});
	server.listen(0, '127.0.0.1');
	await once(server, 'listening');
	url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(async () => {
	server?.closeAllConnections();
	server?.close();
	await workspace?.close();
});

describe('help', () => {
	test.each(commands)('%s shows its options and examples', async command => {
		const {code, stdout, stderr} = await workspace.run([command, '--help']);
		expect({code, stderr}).toEqual({code: 0, stderr: ''});
		expect(stdout).toMatch(new RegExp(`^Usage: gatepass ${command} `));
		expect(stdout).toMatch(new RegExp(`\nExamples:\n {2}gatepass ${command}`));
		expect(stdout).toContain('--json');
		expect(stdout).not.toContain('\u001B');
	});

	test('without a command it is shown, as a usage error', async () => {
		const {code, stderr} = await workspace.run([]);
		expect(code).toBe(2);
		for (const command of commands) expect(stderr).toContain(`\n  ${command} `);
		expect(stderr).toContain('Exit codes: 0 done, 1');
	});

	test('--version', async () => {
		expect(await workspace.run(['--version'])).toMatchObject({code: 0, stdout: '0.1.0\n'});
	});
});

describe('an older Node', () => {
	/** Only the number is another: whoever imports anything before looking at it would be found by the second test. */
	const old = (version: string) =>
		`--import=data:text/javascript,Object.defineProperty(process,'versions',{value:{...process.versions,node:'${version}'}})`;

	test.each([['doctor'], ['init'], ['--help']])('gets one sentence from %s', async command => {
		const env = {NODE_OPTIONS: old('20.20.2')};
		expect(await workspace.run([command], {env})).toMatchObject({
			code: 1,
			stdout: '',
			stderr:
				'error: gatepass needs Node 22.19 or later, and this is 20.20.2. Install a newer one, or put it first on the PATH\n',
		});
		const {stderr} = await workspace.run([command, '--json'], {env});
		expect(JSON.parse(stderr)).toMatchObject({error: {code: 'ERR_GATEPASS'}});
	});

	test('is older than package.json says, and nothing is imported before that is known', async () => {
		const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
		const [, minor] = /"node": ">=22\.(\d+)"/.exec(manifest) ?? [];
		const run = async (version: string) =>
			(await workspace.run(['--version'], {env: {NODE_OPTIONS: old(version)}})).code;
		expect(await run(`22.${Number(minor) - 1}.9`)).toBe(1);
		expect(await run(`22.${minor}.0`)).toBe(0);
		expect(await run('23.0.0')).toBe(0);
		const main = readFileSync(new URL('../../dist/src/cli/main.js', import.meta.url), 'utf8');
		expect(main).not.toMatch(/^import\b/m);
	});
});

describe('usage errors: exit code 2, JSON on request', () => {
	test.each([
		[['stauts'], "unknown command 'stauts'\n(Did you mean status?)"],
		[['validate'], "unknown command 'validate'\n(Did you mean doctor?)"],
		[['curl', 'https://a.example.org'], "unknown command 'curl'\n(Did you mean request?)"],
		[['cert', 'verify'], "unknown command 'verify'"],
		[['request'], "missing required argument 'url'"],
		[['request', '--bogus', 'https://a.example.org'], "unknown option '--bogus'"],
		[['explain', 'a', 'b'], "too many arguments for 'explain'. Expected 1 argument but got 2."],
		[
			['explain', 'ftp://a.example.org'],
			'The URL starts with ftp://. Give one that starts with https:// or http://',
		],
		[['explain', 'http://'], 'The argument is no URL. Give one such as https://api.example.org/runs'],
		[
			['request', '-X', 'NOT A METHOD', 'https://a.example.org'],
			'The value of -X is no HTTP method. Give one such as GET, POST or DELETE',
		],
	])('%j', async (args, message) => {
		const text = await workspace.run(args);
		expect({code: text.code, stdout: text.stdout}).toEqual({code: 2, stdout: ''});
		expect(text.stderr).toMatch(/^error: /);
		expect(text.stderr).toContain(message);
		const json = await workspace.run([...args, '--json']);
		expect({code: json.code, stdout: json.stdout}).toEqual({code: 2, stdout: ''});
		expect(JSON.parse(json.stderr)).toEqual({
			error: {name: 'UsageError', code: 'ERR_GATEPASS_USAGE', message},
		});
	});

	test('the value of an unknown option is not repeated', async () => {
		const {code, stderr} = await workspace.run([
			'request',
			'--hedaer=Authorization: canary',
			'https://a.example.org',
		]);
		expect(code).toBe(2);
		expect(stderr).toContain("unknown option '--hedaer'");
		expect(stderr).not.toContain('canary');
	});
});

describe('configuration errors: exit code 3', () => {
	test('all mistakes, with their lines', async () => {
		const config = await workspace.write(
			'wrong.yaml',
			'hostRules:\n  - match: https://a.example.org\n    strategy: kerberos-stob\n  - match: http://b.example.org\n    strategy: kerberos-stub\n',
		);
		const text = await workspace.run(['-c', 'wrong.yaml', 'status']);
		expect(text.code).toBe(3);
		expect(text.stderr).toMatch(/^error: The configuration has 2 mistakes:\n/);
		expect(text.stderr).toContain(`${config}:3: hostRules[0].strategy: `);
		const json = await workspace.run(['status', '-c', config, '--json']);
		expect(json.code).toBe(3);
		expect(JSON.parse(json.stderr).error).toMatchObject({
			name: 'ConfigurationError',
			code: 'ERR_GATEPASS_CONFIGURATION',
			problems: [
				{file: config, line: 3, path: 'hostRules[0].strategy', hint: 'Did you mean kerberos-stub?'},
				{file: config, line: 4, path: 'hostRules[1].match'},
			],
		});
	});

	test('there is none', async () => {
		const empty = await createWorkspace();
		try {
			const {code, stderr} = await empty.run(['request', 'https://a.example.org']);
			expect(code).toBe(3);
			expect(stderr).toContain("'gatepass init'");
		} finally {
			await empty.close();
		}
	});
});

describe('explain', () => {
	test('for people', async () => {
		const {code, stdout} = await workspace.run(['explain', 'api.example.org/runs/1']);
		expect(code).toBe(0);
		expect(stdout.split('\n').map(line => line.replaceAll(/ {2,}/g, '  '))).toEqual([
			'GET https://api.example.org/runs/1',
			'uses kerberos-stub by the rule for https://api.example.org/runs (gatepass.config.yaml:6).',
			'',
			'  rule  strategy  where  why',
			'✔ https://api.example.org/runs  kerberos-stub  gatepass.config.yaml:6  the exact host with path /runs matches, and nothing more specific does',
			'· https://*.example.org  none  gatepass.config.yaml:10  https://api.example.org/runs (gatepass.config.yaml:6) names the host more exactly',
			'',
		]);
	});

	const onTerminal = {columns: 80, env: {CI: 'true', NO_COLOR: '1'}};

	test('on a terminal: a tree of the candidates, those that match first', async () => {
		const {code, stdout} = await workspace.runOnTerminal(['explain', 'api.example.org/runs/1'], onTerminal);
		expect(code).toBe(0);
		expect(stdout.split(/\r?\n/)).toEqual([
			'GET https://api.example.org/runs/1',
			'uses kerberos-stub by the rule for https://api.example.org/runs',
			'(gatepass.config.yaml:6).',
			'',
			'└─ match',
			'   ├─ ✔ https://api.example.org/runs  kerberos-stub  gatepass.config.yaml:6',
			'   │    the exact host with path /runs matches, and nothing more specific does',
			'   └─ · https://*.example.org         none           gatepass.config.yaml:10',
			'        https://api.example.org/runs (gatepass.config.yaml:6) names the host',
			'        more exactly',
			'',
		]);
	});

	test('on a terminal: the others by what differs, the nearest first', async () => {
		const config = await workspace.write(
			'differing.json',
			JSON.stringify({
				hostRules: [
					{match: 'http://api.example.org', strategy: 'none'},
					{match: 'https://other.example.org', strategy: 'none'},
					{match: 'https://api.example.org:8443', strategy: 'none'},
					{match: 'https://api.example.org/agg', strategy: 'none'},
					{match: 'https://api.example.org/runs', methods: ['POST'], strategy: 'none'},
				],
			}),
		);
		const args = ['-c', config, 'explain', 'https://api.example.org/runs'];
		const {stdout} = await workspace.runOnTerminal(args, onTerminal);
		expect(stdout.split(/\r?\n/).filter(line => /[├└]/.test(line))).toEqual([
			'├─ a method other than GET',
			'│  └─ ✖ https://api.example.org/runs  none  differing.json:1',
			'├─ a path other than /runs',
			'│  └─ ✖ https://api.example.org/agg  none  differing.json:1',
			'├─ a port other than the default',
			'│  └─ ✖ https://api.example.org:8443  none  differing.json:1',
			'├─ a host other than api.example.org',
			'│  └─ ✖ https://other.example.org  none  differing.json:1',
			'└─ a scheme other than https',
			'   └─ ✖ http://api.example.org  none  differing.json:1',
		]);
		expect(stdout).toMatch(/│ {7}the method is GET, not POST\r?\n/);
	});

	test('for machines: what gatepass.explain() gives', async () => {
		const {code, stdout} = await workspace.run(['explain', '-X', 'delete', 'https://example.org', '--json']);
		expect(code).toBe(0);
		expect(JSON.parse(stdout)).toEqual({
			url: 'https://example.org/',
			method: 'DELETE',
			candidates: [
				expect.objectContaining({match: 'https://api.example.org/runs', outcome: 'no-match'}),
				expect.objectContaining({match: 'https://*.example.org', outcome: 'no-match'}),
			],
		});
	});

	test('many rules that do not match are counted, and listed by --all', async () => {
		const hostRules = Array.from({length: 30}, (_, index) => ({
			match: `https://host-${index}.example.org`,
			strategy: 'none',
		}));
		const config = await workspace.write('many.json', JSON.stringify({hostRules}));
		const short = await workspace.run(['-c', config, 'explain', 'https://host-7.example.org']);
		expect(short.stdout).toContain('29 other rules do not match. --all lists them.');
		expect(short.stdout).not.toContain('host-8');
		const all = await workspace.run(['-c', config, 'explain', '--all', 'https://host-7.example.org']);
		expect(all.stdout.match(/host-\d+\.example\.org +none/g)).toHaveLength(30);
	});

	test('among 10,000 rules only those that come near have a reason', async () => {
		const hostRules = Array.from({length: 10_000}, (_, index) => ({
			match: index < 3 ? `https://near.example.org/${index}` : `https://host-${index}.example.org`,
			strategy: 'none',
		}));
		const config = await workspace.write('ten-thousand.json', JSON.stringify({hostRules}));
		const {stdout} = await workspace.run(['-c', config, 'explain', 'https://near.example.org/1/x']);
		expect(stdout).toContain('the path /1/x is not /0 or below it');
		expect(stdout.match(/the path \/1\/x is not/g)).toHaveLength(2);
		expect(stdout).not.toContain('the host is');
		expect(stdout).toContain('9997 other rules do not match. --all lists them.');
	});
});

test('a reader that goes away ends the request quietly', async () => {
	const child = workspace.start(['request', `${url}/endless`]);
	let errors = '';
	child.stderr?.on('data', chunk => {
		errors += chunk;
	});
	await once(child.stdout as NodeJS.ReadableStream, 'data');
	child.stdout?.destroy();
	const [code] = await once(child, 'close');
	expect({code, errors}).toEqual({code: 0, errors: ''});
});

test.each([
	['SIGINT', 130],
	['SIGTERM', 143],
] as const)('%s ends at once with %i and leaves no file', async (signal, expected) => {
	const child = workspace.start(['request', '-o', 'interrupted.txt', `${url}/slow`]);
	await new Promise<void>(resolve => {
		arrived = resolve;
	});
	child.kill(signal);
	const [code] = await once(child, 'close');
	expect(code).toBe(expected);
	expect(readdirSync(workspace.folder).filter(name => name.includes('interrupted'))).toEqual([]);
});

const terminal = {
	name: 'a terminal',
	whyUnavailable: () =>
		findProgram('script') === undefined ? "the program 'script' is not there" : undefined,
	install: 'apt-get install bsdutils',
};

describeWith(terminal, 'on a terminal', () => {
	test('a token is printed without --show', async () => {
		const api = await startTokenServer();
		try {
			const options = {clientId: 'cli', clientSecret: 'x', tokenEndpoint: api.tokenEndpoint};
			const config = await workspace.write(
				'token.json',
				JSON.stringify({
					cache: {url: 'memory:'},
					hostRules: [{match: api.url, strategy: 'sso-client-credentials', options}],
				}),
			);
			const {code, stdout} = await workspace.runOnTerminal(['-c', config, 'token', api.url]);
			expect(stdout).toMatch(/^[\w-]{20,}\r\n$/);
			expect(code).toBe(0);
		} finally {
			await api.close();
		}
	});

	test('there are colours, unless NO_COLOR is set', async () => {
		const args = ['explain', 'https://api.example.org/runs'];
		expect((await workspace.runOnTerminal(args)).stdout).toContain('\u001B[32m✔');
		expect((await workspace.runOnTerminal(args, {env: {NO_COLOR: '1'}})).stdout).not.toContain('\u001B');
		expect((await workspace.run(args, {env: {FORCE_COLOR: '1'}})).stdout).toContain('\u001B[32m✔');
		expect((await workspace.run(args)).stdout).not.toContain('\u001B');
	});

	test('a sign of life appears while a server takes its time, and the body stands alone after it', async () => {
		const waiting = new Promise<void>(resolve => {
			arrived = resolve;
		});
		const shown = Promise.withResolvers<void>();
		const sign = `Waiting for ${new URL(url).host}`;
		const outcome = workspace.runOnTerminal(['request', `${url}/slow`], {
			onOutput: text => text.includes(sign) && shown.resolve(),
		});
		await Promise.all([waiting, shown.promise]);
		release();
		const {code, stdout} = await outcome;
		expect(code).toBe(0);
		// The line is cleared and the cursor is back before the body comes.
		expect(stdout.slice(stdout.lastIndexOf(sign))).toContain('\u001B[?25h');
		expect(stdout.slice(stdout.lastIndexOf('\u001B'))).toMatch(/^\S+done\r\n$/);
	});
});

describe('a warning of the process', () => {
	const settings = (env: Record<string, string> = {}) => ({env: {GATEPASS_TEST_TOKEN: 'canary\n', ...env}});
	beforeAll(async () => {
		const rule = {
			match: 'https://warned.example.org',
			strategy: 'static-token',
			options: {token: '${GATEPASS_TEST_TOKEN}'},
		};
		await workspace.write('warned.json', JSON.stringify({cache: {url: 'memory:'}, hostRules: [rule]}));
	});

	test('is told as everything else', async () => {
		const {code, stderr} = await workspace.run(['-c', 'warned.json', 'status'], settings());
		expect(code).toBe(0);
		expect(stderr).toMatch(/^warning: The variable GATEPASS_TEST_TOKEN ends with a line break, .*\n$/);
	});

	test('is left to Node where it is to be silent, or to say more', async () => {
		const silent = await workspace.run(['-c', 'warned.json', 'status'], settings({NODE_NO_WARNINGS: '1'}));
		expect(silent.stderr).toBe('');
		const {stderr} = await workspace.run(['-c', 'warned.json', 'status'], settings({GATEPASS_DEBUG: '1'}));
		expect(stderr).toContain('[GATEPASS_LINE_BREAK]');
	});
});
