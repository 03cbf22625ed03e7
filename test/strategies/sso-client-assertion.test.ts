/**
 * `clientAssertion` (RFC 7523 section 2.2): an assertion that somebody else made, read again for every token request, at
 * each authorization server that knows such; and what the error says where one will not do.
 */
import {mkdir, rename, symlink, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {inspect} from 'node:util';
import {decodeJwt, SignJWT} from 'jose';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {ConfigurationError, CredentialUnavailableError, TokenRequestError} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {conformance} from '../../src/testing/conformance.ts';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {SsoClientCredentialsStrategy} from '../../strategies/sso-client-credentials/index.ts';
import {describeWith} from '../servers/availability.ts';
import {type OidcProvider, startOidcProvider} from '../servers/oidc-provider.ts';
import {programsForEachTest} from './programs.ts';
import {
	type AuthorizationServer,
	createRule,
	endAfterEach,
	makeClientKey,
	serverKinds,
	tokenRequestErrorOf,
} from './sso-protocol-setup.ts';

const ended = endAfterEach();
const programs = programsForEachTest();
const key = makeClientKey('p256', 'P-256');
const url = 'https://127.0.0.1:9/';
let authority: TestAuthority;

beforeAll(async () => {
	authority = await createTestAuthority();
});
afterAll(() => authority.close());

/** What a cluster or a CI makes for its workloads; `seconds`: for how long. */
function assertionFor(clientId: string, audience: string, seconds = 300, claims = {}): Promise<string> {
	const now = Math.floor(Date.now() / 1000);
	const jti = crypto.randomUUID();
	return new SignJWT({
		iss: clientId,
		sub: clientId,
		aud: audience,
		iat: now,
		exp: now + seconds,
		jti,
		...claims,
	})
		.setProtectedHeader({alg: 'ES256', kid: 'p256'})
		.sign(key.privateKey);
}

for (const {name, needs, clients, start} of serverKinds) {
	describeWith(needs, name, () => {
		let server: AuthorizationServer;
		beforeAll(async () => {
			server = await start({authority, clientKeys: [key.jwk]});
		});
		afterAll(() => server.close());

		test('a file that is replaced, as Kubernetes does it, is read for each token request', async () => {
			const clientId = clients.privateKeyJwt.clientId ?? '';
			// A link to a folder, which another link takes the place of.
			const project = async (version: string, assertion: string): Promise<void> => {
				await mkdir(join(programs.folder, version));
				await writeFile(join(programs.folder, version, 'token'), `${assertion}\n`);
				await symlink(version, join(programs.folder, 'next'));
				await rename(join(programs.folder, 'next'), join(programs.folder, '..data'));
			};
			await project('one', await assertionFor(clientId, server.tokenEndpoint));
			const {tokenEndpoint} = server;
			const gatepass = ended(
				await createRule(
					url,
					authority,
					{tokenEndpoint, clientId, scope: 'read', clientAssertion: {file: '..data/token'}},
					{cwd: programs.folder},
				),
			);
			await gatepass.authorize(url);
			// Had it been read once, the server would see the first one again.
			await project('two', 'no assertion at all');
			await tokenRequestErrorOf(
				gatepass
					.authorize(url)
					.then(() => gatepass.forget(url))
					.then(() => gatepass.authorize(url)),
			);
			await project('three', await assertionFor(clientId, server.tokenEndpoint));
			await gatepass.authorize(url);
		});
	});
}

describe('where it comes from', () => {
	let provider: OidcProvider;
	beforeAll(async () => {
		provider = await startOidcProvider({authority, clientKeys: [key.jwk]});
	});
	afterAll(() => provider.close());

	const clientId = 'private-key-jwt';
	const open = async (clientAssertion: unknown, more: Record<string, unknown> = {}) => {
		const options = {issuer: provider.issuer, clientId, clientAssertion};
		return ended(await createRule(url, authority, options, {cwd: programs.folder, ...more}));
	};

	test('a variable', async () => {
		const assertion = await assertionFor(clientId, provider.issuer);
		const gatepass = await open({variable: 'CI_TOKEN'}, {env: {CI_TOKEN: assertion}});
		await gatepass.authorize(url);
		expect(provider.forms.at(-1)).toMatchObject({
			client_id: clientId,
			client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
			client_assertion: assertion,
		});
	});

	test('a variable as it is now, also where a .env adds others', async () => {
		const env: Record<string, string> = {CI_TOKEN: 'the first one has expired'};
		await writeFile(join(programs.folder, '.env'), 'OTHER=value\nCI_TOKEN=overrides nothing\n');
		const gatepass = await open({variable: 'CI_TOKEN'}, {env});
		await tokenRequestErrorOf(gatepass.authorize(url));
		env.CI_TOKEN = await assertionFor(clientId, provider.issuer);
		await gatepass.authorize(url);
	});

	test.each(['function', 'bare function'])('a %s, for each token request', async kind => {
		let asked = 0;
		const give = () => {
			asked += 1;
			return assertionFor(clientId, provider.issuer);
		};
		const gatepass = await open(kind === 'function' ? {function: give} : give);
		await gatepass.authorize(url);
		await gatepass.authorize(url);
		expect(asked).toBe(1);
		await gatepass.forget(url);
		// One more for the revocation, which the client proves itself for, too.
		const revoked = asked;
		expect(revoked).toBe(2);
		await gatepass.authorize(url);
		expect(asked).toBe(3);
		expect(provider.forms.at(-1)?.client_assertion).not.toBe(provider.forms.at(-2)?.client_assertion);
	});

	test('a program', async () => {
		const command = await programs.printing(await assertionFor(clientId, provider.issuer));
		const gatepass = await open({command});
		await Promise.all([gatepass.authorize(url), gatepass.authorize(url)]);
		expect(await programs.runs()).toBe(1);
	});

	test('in sso-token-exchange', async () => {
		const gatepass = ended(
			await createRule(
				url,
				authority,
				{
					tokenEndpoint: provider.tokenEndpoint,
					clientId,
					clientAssertion: () => assertionFor(clientId, provider.issuer),
					audience: 'archive',
					subjectToken: {
						rule: {
							strategy: 'sso-client-credentials',
							options: {
								tokenEndpoint: provider.tokenEndpoint,
								clientId,
								clientAssertion: () => assertionFor(clientId, provider.issuer),
							},
						},
					},
				},
				{strategy: 'sso-token-exchange'},
			),
		);
		const {headers} = await gatepass.authorize(url);
		expect(decodeJwt(headers.authorization?.replace('Bearer ', '') ?? '')).toMatchObject({
			client_id: clientId,
			aud: 'archive',
		});
	});

	test.each([
		['no file', {file: 'missing'}, /The 'clientAssertion' .* cannot be read from .*missing \(ENOENT\)/],
		['a folder', {file: '.'}, / is not a file but a folder/],
		['an empty variable', {variable: 'NOWHERE'}, /is empty: the variable NOWHERE holds no token/],
		[
			'a function that fails',
			() => {
				throw new Error('canary');
			},
			/cannot be had: its function failed/,
		],
		['no program', {command: ['no-such-program']}, /The program no-such-program .* is not there/],
	])('%s is "not available", and no token is asked for', async (_, clientAssertion, message) => {
		const before = provider.requests.length;
		const failure = await (await open(clientAssertion)).authorize(url).catch((error: unknown) => error);
		expect(failure).toBeInstanceOf(CredentialUnavailableError);
		expect(failure).toMatchObject({message: expect.stringMatching(message)});
		expect(provider.requests.slice(before).filter(line => line.startsWith('POST'))).toEqual([]);
	});

	test('a program that fails has failed', async () => {
		const command = await programs.write('echo "no: canary-token" >&2; exit 2');
		const failure = await tokenRequestErrorOf((await open({command})).authorize(url));
		expect(failure.message).toMatch(/ended with 2/);
		expect(failure).toBeInstanceOf(TokenRequestError);
	});

	test('a file that holds more than any token is not looked for in what servers say', async () => {
		const file = join(programs.folder, 'large');
		await writeFile(file, 'x'.repeat(1_000_000));
		const opened = await open({file});
		const started = process.cpuUsage().user;
		const failure = await opened.authorize(url).catch((error: unknown) => error);
		expect(failure).toMatchObject({message: expect.stringMatching(/is too long for a token/)});
		// It took some seconds.
		expect(process.cpuUsage().user - started).toBeLessThan(1_000_000);
	});

	test('a pipe in the place of a file holds nothing up', async () => {
		const [fifo] = await programs.write('mkfifo pipe');
		await import('node:child_process').then(({execFileSync}) =>
			execFileSync(fifo ?? '', {cwd: programs.folder}),
		);
		const failure = await (await open({file: 'pipe'})).authorize(url).catch((error: unknown) => error);
		expect(failure).toMatchObject({message: expect.stringMatching(/ is not a file but a named pipe/)});
	});
});

describe('what a server will not like is in the error', () => {
	let provider: OidcProvider;
	beforeAll(async () => {
		provider = await startOidcProvider({authority, clientKeys: [key.jwk]});
	});
	afterAll(() => provider.close());

	const clientId = 'private-key-jwt';
	test.each<[string, () => Promise<string>, RegExp]>([
		['it expired', () => assertionFor(clientId, provider.issuer, -600), /from the variable CI expired on 20/],
		[
			'another audience',
			() => assertionFor(clientId, 'sts.example.org'),
			/is for sts\.example\.org, and this server goes by https:\/\/127/,
		],
		[
			'not yet valid',
			() => assertionFor(clientId, provider.issuer, 900, {nbf: Date.now() / 1000 + 600}),
			/is valid from 20.* only\. Check the clocks/,
		],
		[
			'no audience',
			() => assertionFor(clientId, provider.issuer, 300, {aud: undefined}),
			/says not whom it is for \(aud\)/,
		],
		[
			'another issuer',
			() => assertionFor(clientId, provider.issuer, 300, {iss: undefined}),
			/lacks the claim iss/,
		],
		['no JWT', async () => 'canary-opaque', /What the variable CI holds is no JWT/],
	])('%s', async (_, make, message) => {
		const assertion = await make();
		const gatepass = ended(
			await createRule(
				url,
				authority,
				{issuer: provider.issuer, clientId, clientAssertion: {variable: 'CI'}},
				{env: {CI: assertion}},
			),
		);
		const failure = await tokenRequestErrorOf(gatepass.authorize(url));
		expect(failure).toMatchObject({
			error: expect.stringMatching(/^invalid_(client|request)$/),
			message: expect.stringMatching(message),
		});
		expect(inspect(failure, {depth: 9})).not.toContain(assertion);
	});

	test('a server that repeats the assertion does not bring it into the error', async () => {
		const echo = ended(
			await startServer(({body}, response) =>
				answerJson(response, 400, {error: 'invalid_client', error_description: body}),
			),
		);
		const gatepass = ended(
			await createRule(
				url,
				authority,
				{tokenEndpoint: echo.url, clientId, clientAssertion: {variable: 'CI'}},
				{env: {CI: 'canary+opaque/assertion'}},
			),
		);
		const failure = await tokenRequestErrorOf(gatepass.authorize(url));
		expect(echo.requests[0]?.body).toContain('canary');
		expect(inspect(failure, {depth: 9})).not.toContain('canary');
	});
});

test('mistakes in the configuration', async () => {
	const failure = await createRule(url, authority, {
		tokenEndpoint: url,
		clientId: 'c',
		clientSecret: 's',
		clientAuthentication: 'tls_client_auth',
		identity: {},
		clientAssertion: {variable: 'CI'},
	}).catch(error => error);
	expect(failure).toBeInstanceOf(ConfigurationError);
	expect(failure.problems.map(({path}: {path: string}) => path)).toEqual([
		'hostRules[0].options.clientAssertion',
		'hostRules[0].options.clientAuthentication',
	]);
	const form = await createRule(url, authority, {clientId: 'c', clientAssertion: {files: 'x'}}).catch(e => e);
	expect(form).toBeInstanceOf(ConfigurationError);
});

test('the conformance kit passes', async () => {
	const {startTokenServer} = await import('../../src/testing/index.ts');
	const {tokenEndpoint, close} = await startTokenServer();
	await expect(
		conformance(SsoClientCredentialsStrategy, {
			options: {clientId: 'c', tokenEndpoint, clientAssertion: {variable: 'CI'}},
			env: {CI: 'canary-assertion'},
			secrets: ['canary-assertion'],
		}),
	).resolves.toHaveLength(14);
	await close();
});
