/** The variables that `gatepass run` sets: each by a program that reads it and is given no other. */
import {createHash} from 'node:crypto';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {createSecureServer} from 'node:http2';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {buffer} from 'node:stream/consumers';
import {afterAll, beforeAll, describe, expect, it} from 'vitest';
import {parsePattern} from '../../src/host-rules/pattern.ts';
import {hostsWithoutProxy} from '../../src/serve/child-environment.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {createWorkspace, type Workspace} from '../cli/command-line.ts';
import {describeWith} from '../servers/availability.ts';
import {clientPrograms, quote} from './programs.ts';
import {type StartedServer, startServer} from './start-proxy.ts';

const folder = mkdtempSync(join(tmpdir(), 'gatepass-variables-'));
const programs = clientPrograms(folder);
const named = (name: string) => {
	const found = programs.find(program => program.name === name);
	if (found === undefined) throw new Error(`There is no program ${name}`);
	return found;
};
const python =
	"/usr/bin/python3 -c 'import sys, urllib.request as u; print(u.urlopen(sys.argv[1]).read().decode())'";
// A bucket whose name cannot be a host's stands in the path. Node's pipes are sockets, which nobody can open.
const awsGet = `sh -c '/usr/bin/aws --no-sign-request --region us-east-1 --endpoint-url "$0" s3api get-object --bucket A_BUCKET --key x /dev/stdout | cat'`;
const commit = '0123456789abcdef0123456789abcdef01234567';

/** Variables, who reads them, and how; `get` prints what a GET with the credential gives. */
const cases: readonly {variables: string[]; program: string; scheme: 'http' | 'https'; get?: string}[] = [
	{variables: ['http_proxy'], program: 'curl', scheme: 'http'},
	{variables: ['HTTP_PROXY'], program: 'Python urllib', scheme: 'http', get: python},
	{variables: ['HTTPS_PROXY', 'CURL_CA_BUNDLE'], program: 'curl', scheme: 'https'},
	{variables: ['https_proxy', 'CURL_CA_BUNDLE'], program: 'curl', scheme: 'https'},
	{variables: ['ALL_PROXY', 'CURL_CA_BUNDLE'], program: 'curl', scheme: 'https'},
	{variables: ['all_proxy', 'CURL_CA_BUNDLE'], program: 'curl', scheme: 'https'},
	{variables: ['HTTPS_PROXY', 'SSL_CERT_FILE'], program: 'Python urllib', scheme: 'https'},
	{variables: ['HTTPS_PROXY', 'REQUESTS_CA_BUNDLE'], program: 'Python requests', scheme: 'https'},
	{
		variables: ['HTTPS_PROXY', 'NODE_USE_ENV_PROXY', 'NODE_EXTRA_CA_CERTS'],
		program: "Node's fetch",
		scheme: 'https',
	},
	{variables: ['https_proxy', 'WGETRC'], program: 'wget', scheme: 'https'},
	{
		variables: ['https_proxy', 'PERL_LWP_ENV_PROXY', 'PERL_LWP_SSL_CA_FILE'],
		program: "Perl's LWP",
		scheme: 'https',
	},
	{variables: ['JAVA_TOOL_OPTIONS'], program: "Java's HttpClient", scheme: 'https'},
	{variables: ['HTTPS_PROXY', 'AWS_CA_BUNDLE'], program: 'awscli', scheme: 'https', get: awsGet},
	{variables: ['HTTPS_PROXY', 'CURL_CA_BUNDLE'], program: 'R', scheme: 'https'},
	{variables: ['HTTPS_PROXY', 'GIT_SSL_CAINFO'], program: 'git', scheme: 'https', get: 'git ls-remote'},
	{
		variables: ['https_proxy', 'DAVIX_USE_LIBCURL', 'X509_CERT_DIR'],
		program: 'gfal2',
		scheme: 'https',
		get: 'env GFAL_PYTHONBIN=/usr/bin/python3 gfal-cat',
	},
];

describe('what a program reads', () => {
	let authority: TestAuthority;
	let servers: Record<'http' | 'https', StartedServer>;
	let workspace: Workspace;
	/** By the place in `cases`. */
	let printed: string[];
	let expected: string[];
	let noProxy: string;

	beforeAll(async () => {
		authority = await createTestAuthority();
		const certificate = await authority.issue('server', {subject: 'CN=localhost', hosts: ['localhost']});
		const answer: Parameters<typeof startServer>[0] = async (request, response) => {
			const body = await buffer(request);
			const user = request.headers.authorization === 'Bearer the-token' ? 'bearer' : 'nobody';
			const digest = createHash('sha256').update(body).digest('hex');
			if (request.url?.startsWith('/info/refs'))
				response.end(user === 'bearer' ? `${commit}\trefs/heads/main\n` : '');
			else if (request.url === '/HEAD') response.end('ref: refs/heads/main\n');
			else response.end(`${request.method} ${user} ${digest}\n`);
		};
		servers = {http: await startServer(answer), https: await startServer(answer, certificate)};
		const origins = {
			http: `http://localhost:${servers.http.port}`,
			https: `https://localhost:${servers.https.port}`,
		};
		workspace = await createWorkspace({
			cache: {url: 'memory:'},
			trust: [{match: origins.https, ca: authority.ca, only: true}],
			hostRules: Object.values(origins).map(match => ({
				match,
				strategy: 'static-token',
				options: {token: 'the-token'},
			})),
		});
		const hash = createHash('sha256').digest('hex');
		expected = [];
		const lines = cases.map(({variables, program, scheme, get}) => {
			const url = origins[scheme];
			const place = {url, user: 'bearer'};
			const script = get === undefined ? named(program).script(place) : `${get} ${url}`;
			expected.push(
				get === undefined
					? named(program).expected(place)
					: program === 'git'
						? commit
						: `GET bearer ${hash}`,
			);
			const given = variables.map(name => `${name}="$${name}"`).join(' ');
			// The shell that starts the program sees nothing but these.
			return `env -i PATH="$PATH" HOME="$HOME" ${given} sh -c ${quote(script)}; echo "[]"`;
		});
		const outer = {NO_PROXY: 'localhost,other.test,127.0.0.0/8', SSL_CERT_DIR: '/nowhere'};
		const script = `${lines.join('\n')}\necho "$NO_PROXY $no_proxy"`;
		const {stdout, stderr} = await workspace.run(['run', '--', 'sh', '-c', script], {env: outer});
		if (/note:|rror/.test(stderr)) process.stderr.write(stderr);
		printed = stdout.split('[]\n');
		noProxy = printed.at(-1) ?? '';
	});
	afterAll(async () => {
		await workspace?.close();
		await servers?.http.close();
		await servers?.https.close();
		await authority?.close();
		rmSync(folder, {recursive: true});
	});

	for (const [index, {variables, program}] of cases.entries()) {
		describeWith(named(program).server, `${variables.join(', ')}: ${program}`, () => {
			it('leads to the credential', () => {
				expect(printed[index]).toContain(expected[index]);
			});
		});
	}

	it('NO_PROXY, no_proxy: all but what leads to a rule', () => {
		expect(noProxy).toBe('other.test,127.0.0.0/8 other.test,127.0.0.0/8\n');
	});
});

describeWith(named('xrdcp').server, 'a file of a server that speaks HTTP/2', () => {
	it('is copied whole by what finds no length in lower case', async () => {
		const authority = await createTestAuthority();
		const {certificate, key} = await authority.issue('server', {
			subject: 'CN=localhost',
			hosts: ['localhost'],
		});
		const versions = new Set<string>();
		const server = createSecureServer({cert: readFileSync(certificate), key: readFileSync(key)});
		server.on('request', ({httpVersion, method}, response) => {
			versions.add(httpVersion);
			response.setHeader('content-length', 6);
			response.end(method === 'HEAD' ? '' : 'whole\n');
		});
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
		const origin = `https://localhost:${(server.address() as AddressInfo).port}`;
		const own = await createWorkspace({
			cache: {url: 'memory:'},
			trust: [{match: origin, ca: authority.ca, only: true}],
			hostRules: [{match: origin, strategy: 'static-token', options: {token: 'the-token'}}],
		});
		const {stdout} = await own.run(['run', '--', 'xrdcp', '-A', '-s', `${origin}/file`, '-']);
		expect([stdout, [...versions]]).toEqual(['whole\n', ['2.0']]);
		await own.close();
		server.close();
		await authority.close();
	});
});

it('DAVIX_USE_LIBCURL is left as it was, where somebody has set it', async () => {
	const own = await createWorkspace({});
	const {stdout} = await own.run(['run', '--', 'printenv', 'DAVIX_USE_LIBCURL'], {
		env: {DAVIX_USE_LIBCURL: '0'},
	});
	expect(stdout).toBe('0\n');
	await own.close();
});

describe('NO_PROXY', () => {
	const without = (before: string, ...rules: string[]): string =>
		hostsWithoutProxy(
			before,
			rules.map(rule => parsePattern(rule)),
		).join(',');
	const own = 'localhost,127.0.0.1,::1';

	it('has this machine, where no rule names it by one of its names', () => {
		expect(without('')).toBe(own);
		expect(without('', 'https://example.org', 'https://*')).toBe(own);
		expect(without('a.test, b.test  localhost')).toBe('a.test,b.test,localhost,127.0.0.1,::1');
		for (const host of ['localhost', '127.0.0.1', '[::1]']) {
			expect(without('', `https://${host}:8443`)).toBe('');
		}
		expect(without('', 'http://127.0.0.2:8080')).toBe(own);
	});

	it.each([
		['*', 'https://example.org'],
		['example.org', 'https://example.org'],
		['EXAMPLE.org', 'https://example.org'],
		['example.org:443', 'https://example.org'],
		['.org', 'https://example.org'],
		['org', 'https://example.org'],
		['*.org', 'https://example.org'],
		['*ample.org', 'https://example.org'],
		['.example.org', 'https://example.org'],
		['example.org', 'https://*.example.org'],
		['a.example.org', 'https://*.example.org'],
		['.a.example.org', 'https://*.example.org'],
		['org', 'https://*.example.org'],
		['192.0.2.7', 'https://192.0.2.7'],
		['192.0.2.0/24', 'https://192.0.2.7:8443'],
		['0.0.0.0/0', 'https://192.0.2.7'],
		['192.0.2.7:8443', 'https://192.0.2.7:8443'],
		['2001:db8::7', 'https://[2001:db8::7]'],
		['2001:0DB8:0::7', 'https://[2001:db8::7]'],
		['[2001:db8::7]', 'https://[2001:db8::7]'],
		['[2001:db8::7]:443', 'https://[2001:db8::7]'],
		['2001:db8::/32', 'https://[2001:db8::7]'],
		['localhost', 'https://localhost:8443'],
		['127.0.0.1', 'https://127.0.0.1:8443'],
		['127.0.0.0/8', 'https://127.0.0.1:8443'],
		['::1', 'https://[::1]:8443'],
	])('loses %s for a rule of %s', (entry, rule) => {
		expect(without(`${entry},kept.test`, rule).split(',')).not.toContain(entry);
		expect(without(`${entry},kept.test`, rule)).toContain('kept.test');
	});

	it.each([
		['notexample.org', 'https://example.org'],
		['www.example.org', 'https://example.org'],
		['192.0.2.0/25', 'https://192.0.2.200'],
		['192.0.2.1', 'https://192.0.2.10'],
		['2001:db8::/64', 'https://[2001:db8:1::7]'],
		['192.0.2.0/99', 'https://192.0.2.7'],
		['example.com', 'https://*.example.org'],
		['127.0.0.1', 'https://localhost:8443'],
		['192.0.2.0/24', 'https://example.org'],
	])('keeps %s for a rule of %s', (entry, rule) => {
		expect(without(entry, rule).split(',')).toContain(entry);
	});
});
