/** Compiles the examples of the documentation, and runs each against servers that record what they see. */
import {once} from 'node:events';
import {readFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {WebSocketServer} from 'ws';
import {createGatepass} from '../../src/index.ts';
import {
	type MtlsServer,
	startMtlsServer,
	startTokenServer,
	type TokenServer,
} from '../../src/testing/index.ts';
import {answerJson, startServer, type TestServer} from '../../src/testing/server.ts';
import {blocksIn, markdownFiles} from './markdown.ts';
import {Project} from './project.ts';

const client = {SSO_CLIENT_ID: 'runs-report', SSO_CLIENT_SECRET: 'only for tests'};
const variables = {
	...client,
	API_KEY: 'key-for-tests',
	ARCHIVE_PASSWORD: 'password-for-tests',
	API_TOKEN: 'token-for-tests',
	KEY_PASSPHRASE: 'passphrase-for-tests',
	PRINTER_PASSWORD: 'password-for-tests',
	SESSION_PASSWORD: 'password-for-tests',
	REDIS_PASSWORD: 'password-for-tests',
	GATEPASS_CACHE_KEY: Buffer.alloc(32, 1).toString('base64'),
	// For 'ca: grid', also where there is no such folder.
	X509_CERT_DIR: fileURLToPath(new URL('../../bundles/igtf/certificates', import.meta.url)),
	GATEPASS_OLD_CACHE_KEY: Buffer.alloc(32, 2).toString('base64'),
};

/** As written, for what touches no network. */
let asWritten: Project;
/** With the hosts replaced by these servers. */
let local: Project;
let api: TokenServer;
let files: MtlsServer;
let keys: TestServer;
let sessions: TestServer;
let events: TestServer;

beforeAll(async () => {
	[api, files, keys, sessions, events] = await Promise.all([
		startTokenServer({clientId: client.SSO_CLIENT_ID, clientSecret: client.SSO_CLIENT_SECRET}),
		startMtlsServer(),
		startServer((request, response) => answerJson(response, 200, {path: request.url})),
		startSessionServer(),
		startEventServer(),
	]);
	const hosts = {
		'api.example.org': api.url,
		'login.example.org': api.url,
		'files.example.org': files.url,
		'keys.example.org': keys.url,
		'sessions.example.org': sessions.url,
		'events.example.org': events.url,
	};
	asWritten = await Project.create({}, variables);
	local = await Project.create(hosts, variables);
	for (const project of [asWritten, local]) {
		await project.write('lab-ca.pem', await readFile(files.ca, 'utf8'));
		await project.write('client.pem', await readFile(files.client.certificate, 'utf8'));
		await project.write('client.key', await readFile(files.client.key, 'utf8'));
		await project.write('client-secret', `${client.SSO_CLIENT_SECRET}\n`);
	}
});

afterAll(async () => {
	await Promise.allSettled([api, files, keys, sessions, events].map(server => server?.close()));
	await Promise.allSettled([asWritten, local].map(project => project?.remove()));
});

/** How many requests each server had before the test. */
let before: Map<TestServer, number>;
beforeEach(() => {
	before = new Map([api, files, keys, sessions].map(server => [server, server.requests.length]));
});

function requestsTo(server: TestServer) {
	return server.requests.slice(before.get(server));
}

async function runToTheEnd(example: string, environment = {}): Promise<string> {
	const {status, output, errors} = await local.run(example, environment);
	expect(errors).toBe('');
	expect(status).toBe(0);
	return output;
}

describe('configurations', () => {
	const written = markdownFiles
		.flatMap(file => blocksIn(file))
		.filter(({language}) => language === 'yaml')
		.map(({marker}) => marker?.file ?? '');

	test.each([...new Set(written)])('%s has no mistakes', async file => {
		const gatepass = await createGatepass({
			config: file.replace(/^docs\/examples\//, ''),
			cwd: asWritten.folder,
			env: {...variables, HOME: asWritten.folder},
		});
		await gatepass.close();
	});
});

describe('what is printed', () => {
	const outputs = markdownFiles
		.flatMap(file => blocksIn(file))
		.filter(({marker}) => marker?.kind === 'output');

	test.each(outputs.map(block => [block.place, block] as const))('%s', async (_, {marker, text}) => {
		const example = marker?.file.replace(/^docs\/examples\//, '') ?? '';
		const {output, errors, status} = await asWritten.run(example);
		expect(errors).toBe('');
		expect(output.replaceAll(asWritten.folder, '.')).toBe(text);
		expect(status).toBe(0);
	});
});

describe('requests', () => {
	test.each(['request.ts', 'using.ts', 'own-got.ts', 'container.ts', 'own-store.ts', 'telemetry.ts'])(
		'%s shows a token',
		async example => {
			const environment = example === 'container.ts' ? {SSO_CLIENT_ID: '', SSO_CLIENT_SECRET: ''} : {};
			const output = await runToTheEnd(example, environment);
			expect(output).toContain("path: '/runs', authorized: true");
			const seen = requestsTo(api).filter(({url}) => url === '/runs');
			expect(seen.length).toBeGreaterThan(0);
			for (const {headers} of seen) expect(headers.authorization).toMatch(/^Bearer \S+$/);
		},
	);

	test('tenant.ts fetches a token for each tenant', async () => {
		await runToTheEnd('tenant.ts');
		expect(requestsTo(api).map(({url}) => url)).toEqual(['/token', '/runs', '/token']);
	});

	test('events.ts tells of a request', async () => {
		expect(await runToTheEnd('events.ts')).toBe(
			`GET ${api.url}/runs by sso-client-credentials: 200, legs: 1\n`,
		);
	});

	test('logging.ts logs a token and a request', async () => {
		const lines = (await runToTheEnd('logging.ts')).trim().split('\n');
		expect(lines.map(line => JSON.parse(line).msg)).toEqual([
			'gatepass: a token was issued',
			'gatepass: a request was answered',
		]);
	});

	test('own-got.ts keeps the settings of the instance', async () => {
		await runToTheEnd('own-got.ts');
		expect(requestsTo(api).at(-1)?.headers['user-agent']).toBe('runs-report');
	});

	test.each(['use-api-key.ts', 'use-module.js'])('%s shows the key', async example => {
		await runToTheEnd(example);
		expect(requestsTo(keys).map(({url, headers}) => [url, headers['x-api-key']])).toEqual([
			['/things', variables.API_KEY],
		]);
	});

	test('use-session-token.ts logs in as often as it should', async () => {
		expect(await runToTheEnd('use-session-token.ts')).toBe('401\nsession of alice\n');
		const seen = requestsTo(sessions).map(({url, headers}) => [url, headers.authorization !== undefined]);
		expect(seen).toEqual([
			['/login', false],
			['/things', true],
			['/login', false],
			['/things', true],
			['/login', false],
			['/things', true],
			['/things', false],
			['/login', false],
			['/things', true],
		]);
	});

	test('other-clients.ts reaches an API with a token and a server with a certificate', async () => {
		const output = await runToTheEnd('other-clients.ts');
		expect(output).toContain('authorized: true');
		expect(output).toMatch(/200\n$/);
		expect(requestsTo(files).map(({url}) => url)).toEqual(['/list']);
	});

	test('clients.ts shows a token by each client', async () => {
		const output = await runToTheEnd('clients.ts');
		for (const client of ['got', 'fetch', 'undici', 'platform', 'intercept']) {
			expect(output).toContain(`${client} { path: '/runs', authorized: true }`);
		}
		expect(output).toContain('anonymous 401');
	});

	test('axios.ts reaches an API with a token and a server with a certificate', async () => {
		const output = await runToTheEnd('axios.ts');
		expect(output).toContain("200 { path: '/runs', authorized: true }");
		expect(output).toContain("200 { path: '/list', subject: 'CN=alice' }");
	});

	test('websocket.ts opens a WebSocket, with a fresh token after a refusal', async () => {
		expect(await runToTheEnd('websocket.ts')).toBe('run 1 has started\n');
		expect(requestsTo(api).map(({url}) => url)).toEqual(['/token', '/token']);
	});

	test('errors.ts says why there was no token', async () => {
		const output = await runToTheEnd('errors.ts', {SSO_CLIENT_SECRET: 'wrong'});
		expect(output).toBe('no token: ERR_GATEPASS_TOKEN_REQUEST, status 401, invalid_client\n');
		expect(requestsTo(api).map(({url}) => url)).toEqual(['/token']);
	});

	test.each(['own.test.ts', 'mock.test.ts'])('%s passes', async example => {
		expect(await runToTheEnd(example)).toMatch(/# pass 1|pass 1/);
	});
});

test('service.ts serves, tells its health, and ends', async () => {
	const child = local.start('service.ts', {PORT: '0'});
	try {
		const [line] = (await once(createInterface({input: child.stdout}), 'line')) as [string];
		const url = `http://127.0.0.1:${line.replace('listening on ', '')}`;
		const runs = await fetch(`${url}/runs`);
		expect(await runs.json()).toEqual({path: '/runs', authorized: true});
		const health = await fetch(`${url}/health`);
		expect(health.status).toBe(200);
		expect(await health.json()).toMatchObject([{strategy: 'sso-client-credentials', available: true}]);
		expect(requestsTo(api).filter(({url}) => url === '/runs')).toHaveLength(1);
		const exit = once(child, 'exit');
		child.kill('SIGTERM');
		expect(await exit).toEqual([0, null]);
	} finally {
		child.kill('SIGKILL');
	}
});

/** Gives a token for a user and a password, and answers 401 to whoever shows none. */
async function startSessionServer(): Promise<TestServer> {
	let last = 0;
	return startServer((request, response) => {
		if (request.url === '/login') {
			const {password} = JSON.parse(request.body) as {password?: string};
			if (password !== variables.SESSION_PASSWORD) answerJson(response, 403, {});
			else answerJson(response, 200, {token: `session-${++last}`, validFor: 600});
			return;
		}
		const valid = request.headers.authorization === `Bearer session-${last}`;
		answerJson(response, valid ? 200 : 401, {});
	});
}

/** Opens a WebSocket for whoever shows a token, but not for the first one that is shown. */
async function startEventServer(): Promise<TestServer> {
	const http = createServer();
	const sockets = new WebSocketServer({noServer: true});
	let refused: string | undefined;
	http.on('upgrade', (request, socket, head) => {
		const {authorization = 'none'} = request.headers;
		refused ??= authorization;
		if (authorization === refused) {
			const challenge = 'WWW-Authenticate: Bearer error="invalid_token"';
			socket.end(`HTTP/1.1 401 Unauthorized\r\n${challenge}\r\nContent-Length: 0\r\n\r\n`);
			return;
		}
		// At once, so before its client can have set up a listener.
		sockets.handleUpgrade(request, socket, head, opened => opened.send('run 1 has started'));
	});
	return startServer((_request, response) => void response.end(), http);
}
