/** `sso-jwt-bearer` (RFC 7523 section 2.1) against oidc-provider with that grant, which verifies assertions by jose. */
import {rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {inspect} from 'node:util';
import {createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT} from 'jose';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {ConfigurationError, CredentialUnavailableError, type Gatepass} from '../../src/index.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {conformance} from '../../src/testing/conformance.ts';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {startTokenServer} from '../../src/testing/token-server.ts';
import {SsoJwtBearerStrategy} from '../../strategies/sso-jwt-bearer/index.ts';
import {clients, type OidcProvider, startOidcProvider} from '../servers/oidc-provider.ts';
import {startSkewedOidcProvider} from '../servers/skewed-oidc-provider.ts';
import {programsForEachTest} from './programs.ts';
import {createRule, endAfterEach, makeClientKey, tokenRequestErrorOf} from './sso-protocol-setup.ts';

const ended = endAfterEach();
const programs = programsForEachTest();
const url = 'https://127.0.0.1:9/';
const keys = {
	p256: makeClientKey('p256', 'P-256'),
	p384: makeClientKey('p384', 'P-384'),
	p521: makeClientKey('p521', 'P-521'),
	rsa: makeClientKey('rsa', 'RSA'),
	ed25519: makeClientKey('ed25519', 'Ed25519'),
};
let authority: TestAuthority;
let provider: OidcProvider;

beforeAll(async () => {
	authority = await createTestAuthority();
	provider = await startOidcProvider({authority, clientKeys: Object.values(keys).map(({jwk}) => jwk)});
});
afterAll(async () => {
	await provider.close();
	await authority.close();
});

async function open(options: Record<string, unknown>, more: Record<string, unknown> = {}): Promise<Gatepass> {
	const common = {issuer: provider.issuer, audience: 'archive', scope: 'read'};
	return ended(
		await createRule(
			url,
			authority,
			{...common, ...options},
			{strategy: 'sso-jwt-bearer', cwd: programs.folder, ...more},
		),
	);
}

async function tokenOf(gatepass: Gatepass): Promise<Record<string, unknown>> {
	const {headers} = await gatepass.authorize(url);
	return decodeJwt(headers.authorization?.replace('Bearer ', '') ?? '');
}

function assertionFor(subject: string, claims: Record<string, unknown> = {}): Promise<string> {
	const now = Math.floor(Date.now() / 1000);
	return new SignJWT({iss: 'idp', sub: subject, aud: provider.issuer, iat: now, exp: now + 300, ...claims})
		.setProtectedHeader({alg: 'ES256', kid: 'p256'})
		.setJti(crypto.randomUUID())
		.sign(keys.p256.privateKey);
}

describe('an assertion that is made here', () => {
	test.each([
		['p256', undefined, 'ES256'],
		['p384', undefined, 'ES384'],
		['p521', undefined, 'ES512'],
		['rsa', undefined, 'RS256'],
		['rsa', 'PS384', 'PS384'],
		['rsa', 'RS512', 'RS512'],
		['ed25519', undefined, 'EdDSA'],
	] as const)('with the key %s, algorithm %s', async (name, algorithm, expected) => {
		const gatepass = await open({
			...clients.public,
			assertion: {
				privateKey: keys[name].pkcs8,
				keyId: name,
				...(algorithm !== undefined && {algorithm}),
				subject: 'alice',
				claims: {groups: ['readers']},
			},
		});
		expect(await tokenOf(gatepass)).toMatchObject({
			client_id: clients.public.clientId,
			aud: 'archive',
			exchanged_sub: 'alice',
			vouched_by: clients.public.clientId,
			groups: ['readers'],
		});
		const {assertion} = provider.forms.at(-1) ?? {};
		expect(decodeProtectedHeader(String(assertion))).toEqual({alg: expected, typ: 'JWT', kid: name});
		expect(provider.forms.at(-1)).not.toHaveProperty('client_assertion');
	});

	test("with the rule's key, which then proves the client only where that is said", async () => {
		const common = {clientId: clients.privateKeyJwt.clientId, privateKey: keys.p256.pkcs8, keyId: 'p256'};
		await tokenRequestErrorOf((await open({...common, subject: 'alice'})).authorize(url));
		const gatepass = await open({...common, subject: 'alice', clientAuthentication: 'private_key_jwt'});
		expect(await tokenOf(gatepass)).toMatchObject({client_id: common.clientId, exchanged_sub: 'alice'});
		expect(provider.forms.at(-1)).toMatchObject({client_assertion: expect.any(String)});
		const plain = await open({...clients.public, privateKey: keys.p256.pkcs8, keyId: 'p256'});
		expect(await tokenOf(plain)).toMatchObject({exchanged_sub: clients.public.clientId});
	});

	test('a new one for each token request', async () => {
		const gatepass = await open({...clients.public, privateKey: keys.p256.pkcs8, keyId: 'p256'});
		const before = provider.forms.length;
		await Promise.all([gatepass.authorize(url), gatepass.authorize(url)]);
		expect(provider.forms.length).toBe(before + 1);
		await gatepass.forget(url);
		await gatepass.authorize(url);
		const [first, second] = provider.forms.filter(form => form.assertion).slice(-2);
		expect(decodeJwt(String(first?.assertion)).jti).not.toBe(decodeJwt(String(second?.assertion)).jti);
	});

	test('of a service account, without a client: as Google takes it', async () => {
		const jwks = createLocalJWKSet({keys: [keys.rsa.jwk]});
		const google = ended(
			await startServer(async ({body}, response) => {
				const form = new URLSearchParams(body);
				const {payload} = await jwtVerify(form.get('assertion') ?? '', jwks, {
					audience: `${google.url}/token`,
				});
				answerJson(response, 200, {
					access_token: `for-${payload.iss}-${payload.scope}-${form.has('client_id')}`,
					token_type: 'Bearer',
					expires_in: 3599,
				});
			}),
		);
		const gatepass = ended(
			await createRule(
				url,
				authority,
				{
					tokenEndpoint: `${google.url}/token`,
					assertion: {
						privateKey: keys.rsa.pkcs8,
						keyId: 'rsa',
						issuer: 'robot',
						lifetime: 3_600_000,
						claims: {scope: 'storage'},
					},
				},
				{strategy: 'sso-jwt-bearer', env: {}},
			),
		);
		expect((await gatepass.authorize(url)).headers).toEqual({
			authorization: 'Bearer for-robot-storage-false',
		});
	});

	test.each([600_000, -600_000])('for a server whose clock is %i ms ahead', async skew => {
		const server = ended(await startSkewedOidcProvider(skew, {authority, clientKeys: [keys.p256.jwk]}));
		const gatepass = await open({
			issuer: server.issuer,
			...clients.public,
			privateKey: keys.p256.pkcs8,
			keyId: 'p256',
		});
		expect(await tokenOf(gatepass)).toMatchObject({exchanged_sub: clients.public.clientId});
		expect((await server.outcomes()).at(-1)).toBe(undefined);
		expect((await server.outcomes()).length).toBeLessThanOrEqual(2);
	});

	test('a key that is none', async () => {
		const gatepass = await open({...clients.public, assertion: {privateKey: 'canary', subject: 'alice'}});
		const failure = await gatepass.authorize(url).catch((error: unknown) => error);
		expect(failure).toBeInstanceOf(CredentialUnavailableError);
		expect(inspect(failure)).toMatch(/The 'privateKey' .* is no private key in PEM form/);
		expect(inspect(failure)).not.toContain('canary');
	});

	test('nobody who vouches for it', async () => {
		const gatepass = await open({assertion: {privateKey: keys.p256.pkcs8}}, {env: {}});
		await expect(gatepass.authorize(url)).rejects.toThrow(/does not say who vouches for the assertion/);
	});
});

describe('an assertion from elsewhere', () => {
	test('a file: for another subject, another token; a renewed one changes nothing', async () => {
		const file = join(programs.folder, 'assertion');
		await writeFile(file, await assertionFor('alice'));
		const gatepass = await open({...clients.public, assertion: {file: 'assertion'}});
		expect(await tokenOf(gatepass)).toMatchObject({exchanged_sub: 'alice', vouched_by: 'idp'});
		const before = provider.forms.length;
		await writeFile(file, await assertionFor('alice'));
		expect(await tokenOf(gatepass)).toMatchObject({exchanged_sub: 'alice'});
		expect(provider.forms.length).toBe(before);
		await writeFile(file, await assertionFor('bob'));
		expect(await tokenOf(gatepass)).toMatchObject({exchanged_sub: 'bob'});
		await rm(file);
		await expect(gatepass.authorize(url)).rejects.toBeInstanceOf(CredentialUnavailableError);
		await gatepass.forget(url);
	});

	test('a program and a function, for each token request, and beside a client with a secret', async () => {
		const command = await programs.printing(await assertionFor('alice'));
		const ofProgram = await open({...clients.basic, assertion: {command}});
		expect(await tokenOf(ofProgram)).toMatchObject({
			exchanged_sub: 'alice',
			client_id: clients.basic.clientId,
		});
		await tokenOf(ofProgram);
		expect(await programs.runs()).toBe(1);
		let asked = 0;
		const ofFunction = await open({
			...clients.public,
			assertion: () => {
				asked += 1;
				return assertionFor('carol');
			},
		});
		expect(await tokenOf(ofFunction)).toMatchObject({exchanged_sub: 'carol'});
		await tokenOf(ofFunction);
		expect(asked).toBe(1);
	});

	test('one that has expired: the error says so, without it', async () => {
		const assertion = await assertionFor('alice', {exp: Math.floor(Date.now() / 1000) - 60});
		const gatepass = await open({...clients.public, assertion: {variable: 'A'}}, {env: {A: assertion}});
		const failure = await tokenRequestErrorOf(gatepass.authorize(url));
		expect(failure).toMatchObject({error: 'invalid_grant'});
		expect(failure.message).toMatch(/The assertion from the variable A expired on 20/);
		expect(inspect(failure, {depth: 9})).not.toContain(assertion);
	});
});

test('mistakes in the configuration', async () => {
	const problemsOf = async (options: Record<string, unknown>) => {
		const failure = await open(options).catch(error => error);
		expect(failure).toBeInstanceOf(ConfigurationError);
		return failure.problems.map(({path}: {path: string}) => path);
	};
	expect(await problemsOf({clientId: 'c'})).toEqual(['hostRules[0].options.assertion']);
	expect(await problemsOf({clientId: 'c', assertion: {variable: 'A'}, subject: 's', claims: {}})).toEqual([
		'hostRules[0].options.subject',
		'hostRules[0].options.claims',
	]);
});

test('the conformance kit passes', async () => {
	const {tokenEndpoint, close} = await startTokenServer();
	for (const options of [
		{clientId: 'c', tokenEndpoint, assertion: {variable: 'A'}},
		{clientId: 'c', tokenEndpoint, privateKey: keys.p256.pkcs8},
	]) {
		await expect(
			conformance(SsoJwtBearerStrategy, {
				options,
				env: {A: 'canary-assertion'},
				secrets: ['canary-assertion'],
			}),
		).resolves.toHaveLength(14);
	}
	await close();
});
