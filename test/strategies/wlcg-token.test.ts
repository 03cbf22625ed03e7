/** `wlcg-token`: the places of WLCG Bearer Token Discovery, in their order, and what stops the search. */
import {execFileSync} from 'node:child_process';
import {chmod, mkdtemp, rename, rm, truncate, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {
	ConfigurationError,
	CredentialUnavailableError,
	createGatepass,
	type Gatepass,
} from '../../src/index.ts';
import {conformance} from '../../src/testing/index.ts';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {WlcgTokenStrategy} from '../../strategies/wlcg-token/index.ts';
import {describeWith} from '../servers/availability.ts';
import {oidcAgent, startOidcAgent} from '../servers/oidc-agent.ts';
import {startOidcProvider} from '../servers/oidc-provider.ts';
import {unsignedJwt} from './unsigned-jwt.ts';

let folder: string;
let gatepass: Gatepass | undefined;
beforeEach(async () => {
	folder = await mkdtemp(join(tmpdir(), 'gatepass-wlcg-'));
});
afterEach(async () => {
	await gatepass?.close();
	await rm(folder, {recursive: true, force: true});
});

const url = 'https://storage.example.org/file';

async function open(env: Record<string, string>, options: Record<string, unknown> = {}): Promise<Gatepass> {
	gatepass = await createGatepass({
		config: {cache: {url: 'memory:'}, hostRules: [{match: url, strategy: 'wlcg-token', options}]},
		env,
		cwd: folder,
	});
	return gatepass;
}

async function shown(
	env: Record<string, string>,
	options?: Record<string, unknown>,
): Promise<string | undefined> {
	return (await (await open(env, options)).authorize(url)).headers.authorization;
}

function usual(): string {
	return join(folder, `bt_u${process.geteuid?.()}`);
}

describe('the order of places', () => {
	test('the variable first, then the named file, then the runtime folder', async () => {
		await writeFile(join(folder, 'named'), '\n  from-file \n');
		await writeFile(usual(), 'from-runtime\n');
		const env = {
			BEARER_TOKEN: ' from-variable\n',
			BEARER_TOKEN_FILE: join(folder, 'named'),
			XDG_RUNTIME_DIR: folder,
		};
		await expect(shown(env)).resolves.toBe('Bearer from-variable');
		await expect(shown({...env, BEARER_TOKEN: ' \n'})).resolves.toBe('Bearer from-file');
		await writeFile(join(folder, 'named'), ' \n');
		await expect(shown({...env, BEARER_TOKEN: ''})).resolves.toBe('Bearer from-runtime');
	});

	test("the option 'file' is all there is, relative to the configuration", async () => {
		await writeFile(join(folder, 'mine'), 'from-option');
		await expect(shown({BEARER_TOKEN: 'from-variable'}, {file: 'mine'})).resolves.toBe('Bearer from-option');
	});
});

describe('what stops the search', () => {
	test.each([
		[
			'a variable that is no token',
			{BEARER_TOKEN: 'two words'},
			/the variable BEARER_TOKEN holds is no bearer token/,
		],
		[
			'a named file that is missing',
			{BEARER_TOKEN_FILE: '/nonexistent/token'},
			/named by the variable BEARER_TOKEN_FILE, cannot be read \(ENOENT\)/,
		],
	])('%s', async (_, env, message) => {
		await writeFile(usual(), 'not-reached');
		const failure = shown({...env, XDG_RUNTIME_DIR: folder});
		await expect(failure).rejects.toBeInstanceOf(CredentialUnavailableError);
		await expect(failure).rejects.toThrow(message);
	});

	test('nothing anywhere: every place is named, and the variable that would name one more', async () => {
		const set = (await shown({XDG_RUNTIME_DIR: folder}).catch(error => error)).message;
		for (const place of ['BEARER_TOKEN', 'BEARER_TOKEN_FILE', usual(), `/tmp/bt_u${process.geteuid?.()}`]) {
			expect(set).toContain(place);
		}
		expect(set).not.toContain('$XDG');
		const unset = (await shown({}).catch(error => error)).message;
		expect(unset).toContain('(the variable XDG_RUNTIME_DIR is not set)');
	});

	test('a file with something else in it', async () => {
		await writeFile(usual(), 'canary "quoted"');
		const failure: Error = await shown({XDG_RUNTIME_DIR: folder}).then(
			() => new Error('it did not fail'),
			error => error,
		);
		expect(failure.message).toMatch(/is no bearer token/);
		expect(failure.message).not.toMatch(/canary/);
	});

	test('a token that has expired', async () => {
		await writeFile(usual(), unsignedJwt({exp: 1000}));
		await expect(shown({XDG_RUNTIME_DIR: folder})).rejects.toThrow(/expired on 1970-01-01/);
	});
});

test('a file is read again when it has changed, also by rename', async () => {
	await writeFile(usual(), 'first');
	const opened = await open({XDG_RUNTIME_DIR: folder});
	await expect(opened.authorize(url)).resolves.toMatchObject({headers: {authorization: 'Bearer first'}});
	await writeFile(join(folder, 'next'), 'other');
	await rename(join(folder, 'next'), usual());
	await expect(opened.authorize(url)).resolves.toMatchObject({headers: {authorization: 'Bearer other'}});
});

test('a refused token is taken from the file once more', async () => {
	const file = join(folder, 'token');
	await writeFile(file, 'stale');
	const server = await startServer(async ({headers}, response) => {
		if (headers.authorization === 'Bearer renewed') return answerJson(response, 200, {authorized: true});
		// The renewal comes while the request is under way.
		await writeFile(`${file}.new`, 'renewed');
		await rename(`${file}.new`, file);
		answerJson(response, 401, {});
	});
	gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			hostRules: [{match: server.url, strategy: 'wlcg-token', options: {file}}],
		},
	});
	await expect(gatepass.got(server.url).json()).resolves.toEqual({authorized: true});
	expect(server.requests.map(({headers}) => headers.authorization)).toEqual([
		'Bearer stale',
		'Bearer renewed',
	]);
	await server.close();
});

test('a refused token that has not changed is not sent again', async () => {
	const server = await startServer((_, response) => answerJson(response, 401, {}));
	gatepass = await createGatepass({
		config: {cache: {url: 'memory:'}, hostRules: [{match: server.url, strategy: 'wlcg-token'}]},
		env: {BEARER_TOKEN: 'refused'},
	});
	const {statusCode} = await gatepass.got(server.url, {throwHttpErrors: false});
	expect([statusCode, server.requests.length]).toEqual([401, 1]);
	await server.close();
});

test.each([
	['in the usual place', () => ({XDG_RUNTIME_DIR: folder})],
	['named', () => ({BEARER_TOKEN_FILE: usual()})],
])('a pipe or a file without end that is %s is told, not waited for', async (_, environment) => {
	execFileSync('mkfifo', [usual()]);
	await expect(shown(environment())).rejects.toThrow(
		`${usual()} is not a file but a named pipe. Name another file`,
	);
	await gatepass?.close();
	await rm(usual());
	await writeFile(usual(), '');
	await truncate(usual(), 1024 ** 3);
	await expect(shown(environment())).rejects.toThrow(
		`${usual()} has 1073741824 bytes, too many for a token. Name another file`,
	);
});

test('an unreadable file says so', async () => {
	await writeFile(usual(), 'token');
	await chmod(usual(), 0o000);
	// Root reads everything.
	if (process.geteuid?.() === 0) return;
	await expect(shown({XDG_RUNTIME_DIR: folder})).rejects.toThrow(/EACCES/);
});

describe('renewal', () => {
	const open = async (
		options: Record<string, unknown>,
		{match = url, ...env}: Record<string, string | undefined> & {match?: string},
	): Promise<Gatepass> => {
		gatepass = await createGatepass({
			config: {cache: {url: 'memory:'}, hostRules: [{match, strategy: 'wlcg-token', options}]},
			env: {PATH: process.env.PATH, XDG_RUNTIME_DIR: folder, ...env},
			cwd: folder,
		});
		return gatepass;
	};
	const renewal = {strategy: 'command', options: {command: ['echo', 'renewed']}};

	test('a token that has expired, or is about to, and none at all', async () => {
		const opened = await open({renewal}, {});
		await expect(opened.authorize(url)).resolves.toMatchObject({headers: {authorization: 'Bearer renewed'}});
		await writeFile(usual(), unsignedJwt({exp: 1000}));
		await expect(opened.authorize(url)).resolves.toMatchObject({headers: {authorization: 'Bearer renewed'}});
		await writeFile(usual(), unsignedJwt({exp: Math.floor(Date.now() / 1000) + 5}));
		await expect(opened.authorize(url)).resolves.toMatchObject({headers: {authorization: 'Bearer renewed'}});
		expect((await opened.status())[0]).toMatchObject({
			available: true,
			detail: 'renewed by command: credential from echo',
			notes: [expect.stringMatching(/bt_u.* expired on 20/)],
		});
		const valid = unsignedJwt({exp: Math.floor(Date.now() / 1000) + 3600});
		await writeFile(usual(), valid);
		await expect(opened.authorize(url)).resolves.toMatchObject({headers: {authorization: `Bearer ${valid}`}});
		await opened.forget(url);
	});

	test('what is wrong is not passed over', async () => {
		await writeFile(usual(), 'two words');
		const opened = await open({renewal}, {});
		await expect(opened.authorize(url)).rejects.toThrow(/is no bearer token/);
	});

	test('of a token that a server refuses', async () => {
		await writeFile(usual(), 'refused');
		const server = await startServer(({headers}, response) =>
			answerJson(response, headers.authorization === 'Bearer renewed' ? 200 : 401, {}),
		);
		const opened = await open({renewal}, {match: server.url});
		await opened.got(server.url);
		expect(server.requests).toHaveLength(2);
		await opened.close();
		const broken = {strategy: 'command', options: {command: ['no-such-program']}};
		const without = await open({renewal: broken}, {match: server.url});
		const {statusCode} = await without.got(server.url, {throwHttpErrors: false});
		expect(statusCode).toBe(401);
		await server.close();
	});

	test('by nobody else than a program or oidc-agent', async () => {
		const failure = await open({renewal: {strategy: 'static-token', options: {token: 't'}}}, {}).catch(
			e => e,
		);
		expect(failure).toBeInstanceOf(ConfigurationError);
		const inside = await open({renewal: {strategy: 'oidc-agent', options: {}}}, {}).catch(e => e);
		expect(inside.problems).toMatchObject([{path: 'hostRules[0].options.renewal.options.account'}]);
	});
});

describeWith(oidcAgent, 'renewal by Debian’s oidc-agent', () => {
	test('a token that has expired', async () => {
		const provider = await startOidcProvider({});
		const agent = await startOidcAgent({provider});
		await agent.addAccount('wlcg', 'alice');
		await writeFile(usual(), unsignedJwt({exp: 1000}));
		gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				hostRules: [
					{
						match: url,
						strategy: 'wlcg-token',
						options: {renewal: {strategy: 'oidc-agent', options: {account: 'wlcg'}}},
					},
				],
			},
			env: {OIDC_SOCK: agent.socket, XDG_RUNTIME_DIR: folder},
		});
		const {headers} = await gatepass.authorize(url);
		expect(await provider.userOf(String(headers.authorization).replace('Bearer ', ''))).toBe('alice');
		await agent.close();
		await provider.close();
	});
});

test('the conformance kit passes', async () => {
	await expect(conformance(WlcgTokenStrategy, {env: {BEARER_TOKEN: 'canary-token'}})).resolves.toHaveLength(
		14,
	);
});
