import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import type {IncomingMessage, ServerResponse} from 'node:http';
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {text} from 'node:stream/consumers';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {
	type MtlsServer,
	type NegotiateServer,
	startMtlsServer,
	startNegotiateServer,
	startTokenServer,
	type TokenServer,
} from '../../src/testing/index.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

const clientSecret = 'canary-client-secret';
const queryKey = 'canary-query-key';

let mtls: MtlsServer;
let api: TokenServer;
let negotiate: NegotiateServer;
let plain: Server;
let plainUrl: string;
let workspace: Workspace;
/** What the plain server does next. */
let answer: (request: IncomingMessage, response: ServerResponse, body: string) => void;
const seen: {method: string; headers: Record<string, unknown>; body: string}[] = [];

beforeAll(async () => {
	[mtls, api, negotiate] = await Promise.all([startMtlsServer(), startTokenServer(), startNegotiateServer()]);
	plain = createServer(async (request, response) => {
		let body = '';
		for await (const chunk of request) body += chunk;
		seen.push({method: request.method ?? '', headers: request.headers, body});
		answer(request, response, body);
	});
	plain.listen(0, '127.0.0.1');
	await once(plain, 'listening');
	plainUrl = `http://127.0.0.1:${(plain.address() as AddressInfo).port}`;
	workspace = await createWorkspace({
		cache: {url: 'memory:'},
		trust: [{match: mtls.url, ca: mtls.ca, only: true}],
		hostRules: [
			{match: mtls.url, strategy: 'grid-certificate', options: {...mtls.client}},
			{
				match: api.url,
				strategy: 'sso-client-credentials',
				options: {clientId: 'cli', clientSecret, tokenEndpoint: api.tokenEndpoint},
			},
			{match: negotiate.url, strategy: 'kerberos-stub'},
			{
				match: `${plainUrl}/keyed`,
				strategy: 'static-token',
				options: {query: 'key', value: queryKey},
			},
		],
	});
});

beforeEach(() => {
	seen.length = 0;
	answer = (_request, response) => response.end('hello\n');
});

afterAll(async () => {
	plain?.closeAllConnections();
	plain?.close();
	await Promise.all([mtls?.close(), api?.close(), negotiate?.close(), workspace?.close()]);
});

describe('the credential of each kind', () => {
	test('a bearer token, with what was asked for it', async () => {
		const {code, stdout, stderr} = await workspace.run(['request', '-v', `${api.url}/runs`]);
		expect(JSON.parse(stdout)).toEqual({path: '/runs', authorized: true});
		expect(stderr.replace(/^\* time.*/ms, '').split('\n')).toEqual([
			`* hop 1       GET ${api.url}/runs`,
			`*   rule      ${api.url} (gatepass.config.yaml:21)`,
			'*   strategy  sso-client-credentials',
			`*   asked     POST ${api.tokenEndpoint} → 200 OK`,
			'*   sent      with bearer token → 200 OK',
			'',
		]);
		expect(code).toBe(0);
	});

	test('a client certificate', async () => {
		const {code, stdout, stderr} = await workspace.run(['request', '-v', `${mtls.url}/x`]);
		expect(JSON.parse(stdout)).toEqual({path: '/x', subject: 'CN=alice'});
		expect(stderr).toContain('*   sent      with client certificate CN=alice → 200 OK\n');
		expect(code).toBe(0);
	});

	test('a Negotiate token, after the challenge', async () => {
		const {code, stderr} = await workspace.run(['request', '-v', `${negotiate.url}/x`]);
		expect(stderr).toContain(
			'*   sent      as it is → 401 Unauthorized\n*   sent      with Negotiate token → 200 OK\n',
		);
		expect(code).toBe(0);
	});

	test('a query parameter, whose value is told nowhere', async () => {
		let url: string | undefined;
		answer = (request, response) => {
			url = request.url;
			response.end('{}');
		};
		const verbose = await workspace.run(['request', '-v', `${plainUrl}/keyed?a=1`]);
		expect(url).toBe(`/keyed?a=1&key=${queryKey}`);
		expect(verbose.stderr).toContain('*   sent      with query parameter key → 200 OK');
		const json = await workspace.run(['request', '--json', `${plainUrl}/keyed`]);
		expect(JSON.parse(json.stdout).hops[0].legs[0].credentials).toEqual(['query parameter key']);
		for (const text of [verbose.stderr, json.stdout, json.stderr]) expect(text).not.toContain(queryKey);
	});

	test('nothing where there is no rule', async () => {
		const {stderr} = await workspace.run(['request', '-v', plainUrl]);
		expect(stderr.replace(/^\* time.*/ms, '')).toBe(
			`* hop 1       GET ${plainUrl}/\n*   rule      none\n*   sent      as it is → 200 OK\n`,
		);
	});
});

describe('where the time went', () => {
	const ms = String.raw`\d+(?:\.\d)? ms`;

	test('in a pipe: the figures, a line for each request that was sent', async () => {
		const {stderr} = await workspace.run(['request', '-v', `${api.url}/runs`]);
		const [head, asked, sent] = stderr.split('\n').slice(5);
		expect(head).toMatch(new RegExp(`^\\* time {8}${ms}$`));
		expect(asked).toMatch(new RegExp(`^\\*   asked     connect ${ms}, wait ${ms}, body ${ms}$`));
		// The connection of the token request was kept.
		expect(sent).toMatch(new RegExp(`^\\*   sent      credential ${ms}, wait ${ms}, body ${ms}$`));
	});

	test('on a terminal: a bar for each part, on one scale, one after the other', async () => {
		const {stdout} = await workspace.runOnTerminal(['request', '-v', `${mtls.url}/x`], {
			columns: 80,
			env: {CI: 'true', NO_COLOR: '1'},
		});
		const lines = stdout.split(/\r?\n/);
		const bars = lines.slice(lines.findIndex(line => line.startsWith('* time')) + 1).filter(Boolean);
		expect(bars.map(line => /^\* {3}(?:sent)? +(\w+) +█+ +\d/.exec(line)?.[1])).toEqual(
			expect.arrayContaining(['connect', 'tls', 'wait']),
		);
		for (const line of bars) expect(line.length, line).toBeLessThanOrEqual(80);
		const [connect, tls, wait] = ['connect', 'tls', 'wait'].map(name =>
			bars.find(line => line.includes(` ${name} `))?.indexOf('█'),
		) as [number, number, number];
		expect(connect).toBeLessThanOrEqual(tls);
		// The same column where one part took next to nothing beside the others.
		expect(tls).toBeLessThanOrEqual(wait);
	});

	test('for machines: the phases of each leg, one after the other', async () => {
		const {stdout} = await workspace.run(['request', '--json', `${negotiate.url}/x`]);
		const [challenged, answered] = JSON.parse(stdout).hops[0].legs;
		expect(challenged.phases.map(({name}: {name: string}) => name)).toEqual(
			expect.arrayContaining(['connect', 'wait', 'body']),
		);
		const starts = [...challenged.phases, ...answered.phases].map(({start}: {start: number}) => start);
		expect(starts.length).toBeGreaterThan(4);
		expect(starts).toEqual(starts.toSorted((a, b) => a - b));
	});

	test('without an answer, what was done until then', async () => {
		answer = request => request.socket.destroy();
		const {code, stderr} = await workspace.run(['request', '-v', plainUrl]);
		expect(stderr).toMatch(new RegExp(`^\\*   sent      connect ${ms}, wait ${ms}$`, 'm'));
		expect(code).not.toBe(0);
	});
});

test('a request of the strategy that gets no answer is named with its port', async () => {
	answer = request => request.socket.destroy();
	const options = {clientId: 'cli', clientSecret, tokenEndpoint: `${plainUrl}/token`};
	const config = await workspace.write(
		'silent.json',
		JSON.stringify({hostRules: [{match: api.url, strategy: 'sso-client-credentials', options}]}),
	);
	const {stderr} = await workspace.run(['-c', config, 'request', '-v', api.url]);
	expect(stderr).toContain(`*   asked     POST ${plainUrl}/token → no answer (ECONNRESET)`);
});

test('each hop of a redirect is told by itself', async () => {
	answer = (_request, response) => response.writeHead(302, {location: `${api.url}/after?code=canary`}).end();
	const {code, stdout, stderr} = await workspace.run(['request', '-v', plainUrl]);
	expect(JSON.parse(stdout).authorized).toBe(true);
	expect(stderr).toContain(`* hop 2       GET ${api.url}/after?…\n`);
	expect(stderr).not.toContain('canary');
	expect(code).toBe(0);

	const stopped = await workspace.run(['request', '-i', '--no-follow', plainUrl]);
	expect(stopped.stdout).toMatch(/^HTTP\/1\.1 302 Found\r\nlocation: /);
	expect(stopped.code).toBe(0);
});

test('--json tells everything in one object', async () => {
	const {code, stdout, stderr} = await workspace.run(['request', '--json', `${api.url}/runs`]);
	expect(stderr).toBe('');
	expect(code).toBe(0);
	expect(JSON.parse(stdout)).toEqual({
		url: `${api.url}/runs`,
		status: 200,
		headers: expect.objectContaining({'content-type': 'application/json'}),
		body: '{"path":"/runs","authorized":true}',
		hops: [
			{
				method: 'GET',
				url: `${api.url}/runs`,
				rule: {
					match: api.url,
					strategy: 'sso-client-credentials',
					source: `${workspace.path('gatepass.config.yaml')}:21`,
				},
				legs: [{credentials: ['bearer token'], status: 200, phases: expect.any(Array)}],
				strategyRequests: [{method: 'POST', url: api.tokenEndpoint, status: 200, phases: expect.any(Array)}],
			},
		],
	});
	expect(stdout).not.toContain(clientSecret);
});

describe('what is sent, as by curl', () => {
	const send = async (...args: string[]) => {
		const {code, stderr} = await workspace.run(['request', ...args, plainUrl], {input: 'from\nstdin'});
		expect(stderr).toBe('');
		expect(code).toBe(0);
		return seen.at(-1);
	};

	test('-d makes a form, its pieces joined, line ends of files taken out', async () => {
		await workspace.write('body.txt', 'a\r\nb\nc');
		expect(await send('-d', 'x=1', '-d', '@body.txt')).toMatchObject({
			method: 'POST',
			headers: {'content-type': 'application/x-www-form-urlencoded'},
			body: 'x=1&abc',
		});
		expect(await send('-d', '@-')).toMatchObject({body: 'fromstdin'});
	});

	test('--data-binary leaves a file as it is', async () => {
		await workspace.write('body.txt', 'a\r\nb\nc');
		expect(await send('-X', 'put', '--data-binary', '@body.txt')).toMatchObject({
			method: 'PUT',
			body: 'a\r\nb\nc',
		});
	});

	test('-H sets, repeats, empties and takes out', async () => {
		await workspace.write('headers.txt', 'X-From-File: yes\n\nx-two: 2\n');
		const request = await send(
			'-H',
			'X-A: 1',
			'-H',
			'x-a: 2',
			'-H',
			'X-E;',
			'-H',
			'User-Agent:',
			'-H',
			'@headers.txt',
		);
		expect(request?.headers).toMatchObject({'x-a': '1, 2', 'x-e': '', 'x-from-file': 'yes', 'x-two': '2'});
		expect(request?.headers).not.toHaveProperty('user-agent');
	});

	test('-X POST without a body ends', async () => {
		expect(await send('-X', 'POST')).toMatchObject({method: 'POST', body: ''});
	});

	test('a header without a colon is refused and not repeated', async () => {
		const {code, stderr} = await workspace.run(['request', '-H', 'Authorization Bearer canary', plainUrl]);
		expect(code).toBe(2);
		expect(stderr).toContain('is no header');
		expect(stderr).not.toContain('canary');
		expect(seen).toEqual([]);
	});
});

describe('what comes back', () => {
	const binary = Buffer.from([0, 255, 1, 254, 10, 13]);

	test('bytes stay as they are, on stdout and in a file', async () => {
		answer = (_request, response) => response.end(binary);
		expect((await workspace.run(['request', plainUrl])).bytes).toEqual(binary);
		const {code, bytes} = await workspace.run(['request', '-o', 'out.bin', plainUrl]);
		expect(code).toBe(0);
		expect(bytes).toHaveLength(0);
		expect(readFileSync(workspace.path('out.bin'))).toEqual(binary);
		const json = await workspace.run(['request', '--json', plainUrl]);
		expect(JSON.parse(json.stdout)).toMatchObject({bodyBase64: binary.toString('base64')});
	});

	test('an error status: the body comes all the same, the exit code is 1', async () => {
		answer = (_request, response) => response.writeHead(404).end('nothing here\n');
		const {code, stdout, stderr} = await workspace.run(['request', plainUrl]);
		expect({code, stdout, stderr}).toEqual({
			code: 1,
			stdout: 'nothing here\n',
			stderr: 'error: the server answered 404 Not Found\n',
		});
		const json = await workspace.run(['request', '--json', '-o', 'out.txt', plainUrl]);
		expect(json.code).toBe(1);
		expect(JSON.parse(json.stdout)).toMatchObject({status: 404, file: 'out.txt'});
		expect(readFileSync(workspace.path('out.txt'), 'utf8')).toBe('nothing here\n');
	});

	test('a refusal is told once, with the command that finds out why', async () => {
		answer = (_request, response) => response.writeHead(403).end();
		const {stderr} = await workspace.run(['request', `${plainUrl}/x?key=canary`]);
		expect(stderr).toMatch(/^error: the server answered 403 Forbidden, and no host rule matches it/);
		expect(stderr).toContain(`\nRun 'gatepass doctor ${plainUrl}/x' to see where it breaks.\n`);
	});

	test('an answer that breaks off leaves the file as it was, and nothing beside it', async () => {
		answer = (_request, response) => {
			response.writeHead(200, {'content-length': '100'});
			response.write('abc', () => response.destroy());
		};
		mkdirSync(workspace.path('broken'));
		writeFileSync(workspace.path('broken/old.txt'), 'old');
		const existing = await workspace.run(['request', '-o', 'broken/old.txt', plainUrl]);
		const missing = await workspace.run(['request', '-o', 'broken/new.txt', plainUrl]);
		expect([existing.code, missing.code]).toEqual([1, 1]);
		expect(existing.stderr).toMatch(/^error: /);
		expect(readFileSync(workspace.path('broken/old.txt'), 'utf8')).toBe('old');
		expect(readdirSync(workspace.path('broken'))).toEqual(['old.txt']);
	});

	// A pipe stands for /dev/null here: run as root against broken code, this test would replace the real one.
	test('what is no regular file is written to, not replaced', async () => {
		const pipe = workspace.path('pipe');
		execFileSync('mkfifo', [pipe]);
		const reader = spawn('cat', [pipe]);
		try {
			const read = text(reader.stdout);
			const {code} = await workspace.run(['request', '-o', 'pipe', plainUrl]);
			expect(code).toBe(0);
			expect(lstatSync(pipe).isFIFO()).toBe(true);
			expect(await read).toBe('hello\n');
		} finally {
			reader.kill();
		}
	});
});

describe('the flags that people know from curl', () => {
	test('-I asks with HEAD and shows the head alone', async () => {
		const {code, stdout} = await workspace.run(['request', '-sLI', plainUrl]);
		expect(code).toBe(0);
		expect(stdout).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
		expect(stdout).toMatch(/\r\n\r\n$/);
		expect(seen).toMatchObject([{method: 'HEAD'}]);
	});

	test('-u sends HTTP basic, and not past another origin', async () => {
		answer = (request, response) => {
			if (request.url === '/')
				response.writeHead(302, {location: `${plainUrl.replace('127.0.0.1', 'localhost')}/x`});
			response.end();
		};
		await workspace.run(['request', '-u', 'ann:secret:1', plainUrl]);
		expect(seen.map(({headers}) => headers.authorization)).toEqual([
			`Basic ${Buffer.from('ann:secret:1').toString('base64')}`,
			undefined,
		]);
		const {code, stderr} = await workspace.run(['request', '-u', 'canary', plainUrl]);
		expect(code).toBe(2);
		expect(stderr).not.toContain('canary');
	});

	test('-s says nothing of the status, but the exit code does', async () => {
		answer = (_request, response) => response.writeHead(404).end('gone');
		expect(await workspace.run(['request', '-sS', plainUrl])).toMatchObject({
			code: 1,
			stdout: 'gone',
			stderr: '',
		});
	});

	test('-k is refused with a reason, before anything is sent', async () => {
		const {code, stderr} = await workspace.run(['request', '-k', plainUrl]);
		expect({code, seen}).toEqual({code: 2, seen: []});
		expect(stderr).toContain("'trust'");
	});

	test('--max-time ends what takes longer, before and within the answer', async () => {
		for (const begin of [false, true]) {
			answer = (_request, response) => void (begin && response.write('begun'));
			const {code, stderr} = await workspace.run(['request', '--max-time', '0.5', plainUrl]);
			expect(code).toBe(1);
			expect(stderr).toContain('gave no whole answer within 0.5 seconds (--max-time)');
		}
		for (const wrong of ['0', 'x', '-1', '']) {
			expect(await workspace.run(['request', '--max-time', wrong, plainUrl])).toMatchObject({code: 2});
		}
	});
});

describe('failures', () => {
	test('nobody listens', async () => {
		const {code, stdout, stderr} = await workspace.run(['request', '-o', 'none.txt', 'http://127.0.0.1:1/']);
		expect({code, stdout}).toEqual({code: 1, stdout: ''});
		expect(stderr).toBe(
			'error: connect ECONNREFUSED 127.0.0.1:1. Nothing listens there; check the host and port\n' +
				"Run 'gatepass doctor http://127.0.0.1:1/' to see where it breaks.\n",
		);
		const json = await workspace.run(['request', '--json', 'http://127.0.0.1:1/?key=canary']);
		expect(JSON.parse(json.stderr)).toMatchObject({
			error: {code: 'ECONNREFUSED', command: 'gatepass doctor http://127.0.0.1:1/'},
		});
		expect(existsSync(workspace.path('none.txt'))).toBe(false);
	});

	test('a refused client is told as one JSON object, without its secret', async () => {
		const strict = await startTokenServer({clientId: 'somebody else'});
		const other = await createWorkspace({
			cache: {url: 'memory:'},
			hostRules: [
				{
					match: strict.url,
					strategy: 'sso-client-credentials',
					options: {clientId: 'cli', clientSecret, tokenEndpoint: strict.tokenEndpoint},
				},
			],
		});
		try {
			const {code, stdout, stderr} = await other.run(['request', '--json', strict.url], {
				env: {GATEPASS_DEBUG: '1'},
			});
			expect({code, stdout}).toEqual({code: 1, stdout: ''});
			expect(JSON.parse(stderr)).toEqual({
				error: {
					name: 'TokenRequestError',
					code: 'ERR_GATEPASS_TOKEN_REQUEST',
					message: expect.stringContaining('invalid_client'),
					command: `gatepass doctor ${strict.url}/`,
					stack: expect.stringContaining('TokenRequestError'),
				},
			});
			expect(stderr).not.toContain(clientSecret);
			const plainText = await other.run(['request', strict.url]);
			expect(plainText.stderr).toMatch(/^error: The token endpoint .* refused: invalid_client/);
			expect(plainText.stderr).toContain(`\nRun 'gatepass doctor ${strict.url}/' to see where it breaks.\n`);
			expect(plainText.stderr).not.toContain('    at ');
		} finally {
			await Promise.all([strict.close(), other.close()]);
		}
	});
});
