/** `oidc-agent` against Debian's agent, whose accounts are at oidc-provider; and against what is no agent. */
import {rm} from 'node:fs/promises';
import {createServer} from 'node:net';
import {join} from 'node:path';
import {inspect} from 'node:util';
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest';
import {
	ConfigurationError,
	CredentialUnavailableError,
	createGatepass,
	type Gatepass,
	TokenRequestError,
} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {conformance} from '../../src/testing/conformance.ts';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {OidcAgentStrategy} from '../../strategies/oidc-agent/index.ts';
import {describeWith} from '../servers/availability.ts';
import {type OidcAgent, oidcAgent, startOidcAgent} from '../servers/oidc-agent.ts';
import {type OidcProvider, startOidcProvider} from '../servers/oidc-provider.ts';
import {programsForEachTest} from './programs.ts';

const url = 'https://storage.example.org/';
const programs = programsForEachTest();
let gatepass: Gatepass | undefined;
afterEach(async () => gatepass?.close());

async function open(
	options: Record<string, unknown>,
	OIDC_SOCK: string | undefined,
	{match = url, strategy = 'oidc-agent', env = {}}: Record<string, unknown> & {match?: string} = {},
): Promise<Gatepass> {
	await gatepass?.close();
	gatepass = await createGatepass({
		config: {cache: {url: 'memory:'}, hostRules: [{match, strategy: strategy as string, options}]},
		env: {OIDC_SOCK, ...(env as object)},
	});
	return gatepass;
}

async function failureOf(promise: Promise<unknown>): Promise<Error> {
	const error = await promise.then(
		() => undefined,
		(reason: unknown) => reason,
	);
	expect(error).toBeInstanceOf(Error);
	return error as Error;
}

describeWith(oidcAgent, 'Debian’s oidc-agent', () => {
	let authority: TestAuthority;
	let provider: OidcProvider;
	let agent: OidcAgent;
	beforeAll(async () => {
		authority = await createTestAuthority();
		provider = await startOidcProvider({authority});
		agent = await startOidcAgent({provider});
		await agent.addAccount('wlcg', 'alice');
	});
	afterAll(async () => {
		await agent?.close();
		await provider?.close();
		await authority?.close();
	});
	/** Requests for tokens that the agent makes of its provider. */
	const refreshes = () => provider.forms.filter(({grant_type}) => grant_type === 'refresh_token').length;
	const tokenOf = async (opened: Gatepass): Promise<string> =>
		String((await opened.authorize(url)).headers.authorization).replace('Bearer ', '');

	test('a token of an account, once for all callers', async () => {
		const opened = await open({account: 'wlcg'}, agent.socket);
		const tokens = await Promise.all(Array.from({length: 10}, () => tokenOf(opened)));
		expect(new Set(tokens).size).toBe(1);
		expect(await provider.userOf(tokens[0] ?? '')).toBe('alice');
		const [status] = await opened.status();
		expect(status).toMatchObject({available: true, detail: 'token from oidc-agent for the account wlcg'});
		expect(status?.expiresAt).toBeGreaterThan(Date.now());
	});

	test('by issuer', async () => {
		const token = await tokenOf(await open({issuer: provider.issuer}, agent.socket));
		expect(await provider.userOf(token)).toBe('alice');
	});

	test('scope and audience reach the provider', async () => {
		const opened = await open({account: 'wlcg', scope: 'read', audience: 'reports-api'}, agent.socket);
		await tokenOf(opened);
		expect(provider.forms.at(-1)).toMatchObject({scope: 'read', audience: 'reports-api'});
	});

	test('minimumValidity: what does not last is not taken from the agent’s memory', async () => {
		await tokenOf(await open({account: 'wlcg'}, agent.socket));
		const before = refreshes();
		await tokenOf(await open({account: 'wlcg'}, agent.socket));
		expect(refreshes()).toBe(before);
		await tokenOf(await open({account: 'wlcg', minimumValidity: 3_600_000}, agent.socket));
		expect(refreshes()).toBe(before + 1);
	});

	test('a token that a server refuses is not taken from the agent’s memory either', async () => {
		const shown: string[] = [];
		const server = await startServer(({headers}, response) => {
			shown.push(String(headers.authorization));
			answerJson(response, shown.length === 1 ? 401 : 200, {});
		});
		const opened = await open({account: 'wlcg'}, agent.socket, {match: server.url});
		const before = refreshes();
		await opened.got(server.url);
		expect(shown).toHaveLength(2);
		expect(shown[1]).not.toBe(shown[0]);
		expect(refreshes()).toBe(before + 1);
		await server.close();
	});

	test('oidc-token itself serves as a command', async () => {
		const opened = await open({command: ['oidc-token', '--time=60', 'wlcg']}, agent.socket, {
			strategy: 'command',
			env: agent.environment,
		});
		expect(await provider.userOf(await tokenOf(opened))).toBe('alice');
	});

	test('an unknown account, and one that is not loaded', async () => {
		const unknown = await failureOf((await open({account: 'nobody'}, agent.socket)).authorize(url));
		expect(unknown).toBeInstanceOf(CredentialUnavailableError);
		expect(unknown.message).toMatch(
			/oidc-agent .* (no account|knows no account).*'nobody'.*(oidc-gen|oidc-add)/,
		);
		await agent.addAccount('spare', 'bob');
		await agent.unloadAccount('spare');
		const unloaded = await failureOf((await open({account: 'spare'}, agent.socket)).authorize(url));
		expect(unloaded).toBeInstanceOf(CredentialUnavailableError);
		expect(unloaded.message).toMatch(/has no account loaded for 'spare'.*'oidc-add spare'/);
		const elsewhere = await failureOf(
			(await open({issuer: 'https://elsewhere.example.org/'}, agent.socket)).authorize(url),
		);
		expect(elsewhere.message).toMatch(/has no account loaded for the issuer/);
	});

	test('a locked agent', async () => {
		await agent.lock();
		const failure = await failureOf((await open({account: 'wlcg'}, agent.socket)).authorize(url));
		await agent.unlock();
		expect(failure).toBeInstanceOf(CredentialUnavailableError);
		expect(failure.message).toMatch(/oidc-agent is locked .* Unlock it with 'oidc-add --unlock'/);
		await tokenOf(await open({account: 'wlcg'}, agent.socket));
	});

	test('a refresh token that was taken back', async () => {
		await agent.addAccount('revoked', 'carol');
		await provider.expireRefreshTokens();
		const opened = await open({account: 'revoked', minimumValidity: 3_600_000}, agent.socket);
		const failure = await failureOf(opened.authorize(url));
		expect(failure).toBeInstanceOf(TokenRequestError);
		expect(failure.message).toMatch(/invalid_grant.*'oidc-gen revoked --reauthenticate'/);
		await agent.addAccount('wlcg', 'alice');
	});

	test('one that holds still, or waits for a person, is not waited for', async () => {
		const still = await startOidcAgent({provider, reauthenticates: true});
		await still.addAccount('waiting', 'dave');
		await provider.expireRefreshTokens();
		const options = {account: 'waiting', minimumValidity: 3_600_000, timeout: 1000};
		const failure = await failureOf((await open(options, still.socket)).authorize(url));
		expect(failure).toBeInstanceOf(TokenRequestError);
		expect(failure.message).toMatch(/did not answer within 1000 ms|invalid_grant/);
		still.pause();
		const paused = await failureOf((await open({...options, timeout: 200}, still.socket)).authorize(url));
		expect(paused.message).toMatch(/did not answer within 200 ms/);
		await still.close();
		await agent.addAccount('wlcg', 'alice');
	});

	test('the conformance kit passes', async () => {
		await expect(
			conformance(OidcAgentStrategy, {options: {account: 'wlcg'}, env: {OIDC_SOCK: agent.socket}}),
		).resolves.toHaveLength(14);
	});
});

describe('without an agent', () => {
	test('no OIDC_SOCK', async () => {
		const opened = await open({account: 'wlcg'}, undefined);
		const failure = await failureOf(opened.authorize(url));
		expect(failure).toBeInstanceOf(CredentialUnavailableError);
		expect(failure.message).toMatch(/OIDC_SOCK is not set/);
		expect((await opened.status())[0]).toMatchObject({available: false});
		await opened.forget(url);
	});

	test('a socket that nobody listens at, and a file', async () => {
		const gone = join(programs.folder, 'gone.sock');
		const failure = await failureOf((await open({account: 'wlcg'}, gone)).authorize(url));
		expect(failure).toBeInstanceOf(CredentialUnavailableError);
		expect(failure.message).toMatch(/There is no oidc-agent at .*gone\.sock .*ENOENT/);
		const [file = ''] = await programs.write('');
		expect(await failureOf((await open({account: 'wlcg'}, file)).authorize(url))).toBeInstanceOf(
			CredentialUnavailableError,
		);
	});

	test.each<[string, string | undefined, RegExp]>([
		['says nothing', undefined, /ended the connection without an answer/],
		['answers with something else', 'HTTP/1.1 400 canary', /answers with something else than a token/],
		[
			'gives a token that is none',
			'{"status":"success","access_token":"canary two"}',
			/something else than a token/,
		],
		[
			'repeats a token in its failure',
			'{"status":"failure","error":"bad eyJcanary.canary.canary"}',
			/got no token/,
		],
		['goes on without end', 'x'.repeat(3 * 1024 * 1024), /goes on without end/],
	])('one that %s', async (_, answer, message) => {
		const socket = join(programs.folder, 'false.sock');
		const server = createServer(connection => {
			connection.on('error', () => {});
			connection.once('data', () => (answer === undefined ? connection.end() : connection.end(answer)));
		});
		await new Promise<void>(resolve => server.listen(socket, resolve));
		const failure = await failureOf((await open({account: 'wlcg'}, socket)).authorize(url));
		expect(failure).toBeInstanceOf(TokenRequestError);
		expect(failure.message).toMatch(message);
		expect(inspect(failure)).not.toContain('canary');
		await new Promise(resolve => server.close(resolve));
		await rm(socket, {force: true});
	});

	test('mistakes in the configuration', async () => {
		for (const options of [{}, {account: 'a', issuer: 'https://b.example.org'}]) {
			const failure = await failureOf(open(options, undefined));
			expect(failure).toBeInstanceOf(ConfigurationError);
			expect(failure).toMatchObject({problems: [{path: 'hostRules[0].options.account'}]});
		}
	});

	test('the conformance kit passes', async () => {
		await expect(conformance(OidcAgentStrategy, {options: {account: 'a'}, env: {}})).resolves.toHaveLength(
			14,
		);
	});
});
