/** Every way for a client to prove who it is, against every authorization server that knows it. */
import {createPublicKey, generateKeyPairSync} from 'node:crypto';
import {inspect} from 'node:util';
import {decodeJwt, decodeProtectedHeader} from 'jose';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {CredentialUnavailableError, type Gatepass} from '../../src/index.ts';
import {type CertificateFiles, createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {describeWith} from '../servers/availability.ts';
import {type BoundTokenApi, startBoundTokenApi} from '../servers/bound-token-api.ts';
import {startOidcProvider} from '../servers/oidc-provider.ts';
import {
	type AuthorizationServer,
	type ClientKey,
	createRule,
	inForm,
	makeClientKey,
	serverKinds,
	tokenRequestErrorOf,
} from './sso-protocol-setup.ts';

const keys = {
	p256: makeClientKey('p256', 'P-256'),
	p384: makeClientKey('p384', 'P-384'),
	p521: makeClientKey('p521', 'P-521'),
	rsa: makeClientKey('rsa', 'RSA'),
	ed25519: makeClientKey('ed25519', 'Ed25519'),
} satisfies Record<string, ClientKey>;

let authority: TestAuthority;
let certificate: CertificateFiles;
let otherCertificate: CertificateFiles;

beforeAll(async () => {
	authority = await createTestAuthority();
	certificate = await authority.issue('mtls', {
		subject: 'CN=mtls client',
		hosts: ['mtls-client.example.org'],
	});
	otherCertificate = await authority.issue('other', {subject: 'CN=other', hosts: ['other.example.org']});
});
afterAll(() => authority.close());

for (const {name, needs, clients, target, audience, start} of serverKinds) {
	describeWith(needs, name, () => {
		let server: AuthorizationServer;
		let api: BoundTokenApi;
		let gatepass: Gatepass | undefined;

		beforeAll(async () => {
			const clientKeys = Object.values(keys).map(({jwk}) => jwk);
			server = await start({authority, clientKeys});
			api = await startBoundTokenApi({...server, boundTo: 'nothing'});
		});
		afterAll(async () => {
			await api.close();
			await server.close();
		});
		beforeEach(() => async () => {
			await gatepass?.close();
			gatepass = undefined;
		});

		const requestWith = async (options: Readonly<Record<string, unknown>>): Promise<unknown> => {
			const {tokenEndpoint} = server;
			gatepass = await createRule(api.url, authority, {tokenEndpoint, ...target, ...options});
			return gatepass.got(`${api.url}/runs`).json();
		};
		const ofClient = (clientId: string | undefined) => ({
			status: 200,
			token: expect.objectContaining({client_id: clientId, aud: audience, scope: 'read'}),
		});

		test.for(['basic', 'post', 'secretJwt'] as const)('a secret: %s', async (method, {expect}) => {
			const clientAuthentication = {
				basic: 'client_secret_basic',
				post: 'client_secret_post',
				secretJwt: 'client_secret_jwt',
			}[method];
			const before = server.issued();
			const answer = await requestWith({...clients[method], clientAuthentication});
			expect(answer).toMatchObject(ofClient(clients[method].clientId));
			expect(server.issued()).toBe(before + 1);
		});

		test('a wrong secret, hidden in a signature, is refused and not shown', async () => {
			const clientSecret = 'another secret of at least thirty-two bytes';
			const error = await tokenRequestErrorOf(
				requestWith({...clients.secretJwt, clientSecret, clientAuthentication: 'client_secret_jwt'}),
			);
			expect(error.message).toContain(server.tokenEndpoint);
			expect(error.message).not.toContain(clientSecret);
		});

		const pems: [kind: string, pem: string, options: Record<string, string>][] = [
			['an EC key on P-256, PKCS#8', keys.p256.pkcs8, {keyId: 'p256'}],
			['an EC key on P-256, SEC 1', inForm(keys.p256.pkcs8, 'sec1'), {keyId: 'p256', algorithm: 'ES256'}],
			['an EC key on P-384', keys.p384.pkcs8, {keyId: 'p384'}],
			['an EC key on P-521', keys.p521.pkcs8, {keyId: 'p521'}],
			['an RSA key, PKCS#8', keys.rsa.pkcs8, {keyId: 'rsa'}],
			['an RSA key, PKCS#1', inForm(keys.rsa.pkcs8, 'pkcs1'), {keyId: 'rsa', algorithm: 'RS256'}],
			['an RSA key with PS256', keys.rsa.pkcs8, {keyId: 'rsa', algorithm: 'PS256'}],
			['an RSA key with RS512', keys.rsa.pkcs8, {keyId: 'rsa', algorithm: 'RS512'}],
			['an Ed25519 key', keys.ed25519.pkcs8, {keyId: 'ed25519'}],
			['a key as variables hold it, in one line', keys.p256.pkcs8.replaceAll('\n', '\\n'), {keyId: 'p256'}],
		];
		test.for(pems)('%s', async ([, privateKey, options], {expect}) => {
			const answer = await requestWith({...clients.privateKeyJwt, privateKey, ...options});
			expect(answer).toMatchObject(ofClient(clients.privateKeyJwt.clientId));
		});

		test('a key that the server does not know is refused', async () => {
			const {pkcs8: privateKey} = makeClientKey('p256', 'P-256');
			const error = await tokenRequestErrorOf(
				requestWith({...clients.privateKeyJwt, privateKey, keyId: 'p256'}),
			);
			expect(error.message).toContain(server.tokenEndpoint);
			expect(error.status).toBeGreaterThanOrEqual(400);
		});

		test('a certificate', async () => {
			const answer = await requestWith({
				...clients.mtls,
				issuer: server.issuer,
				tokenEndpoint: undefined,
				identity: {...certificate},
			});
			expect(answer).toMatchObject(ofClient(clients.mtls.clientId));
		});

		test('the certificate of somebody else is refused', async () => {
			const error = await tokenRequestErrorOf(
				requestWith({
					...clients.mtls,
					issuer: server.issuer,
					tokenEndpoint: undefined,
					identity: {...otherCertificate},
				}),
			);
			expect(error.status).toBeGreaterThanOrEqual(400);
		});
	});
}

describe('a private key that cannot be used is named before anything is sent', () => {
	const encrypted = keys.p256.privateKey.export({
		type: 'pkcs8',
		format: 'pem',
		cipher: 'aes-256-cbc',
		passphrase: 'canary-passphrase',
	}) as string;
	const koblitz = generateKeyPairSync('ec', {namedCurve: 'secp256k1'}).privateKey.export({
		type: 'pkcs8',
		format: 'pem',
	}) as string;
	const cases: [title: string, options: Record<string, string>, message: RegExp][] = [
		['no PEM at all', {privateKey: 'canary-of-a-key'}, /is no private key in PEM form, or is encrypted/],
		['one that is encrypted', {privateKey: encrypted}, /or is encrypted.*Give the text of the file/],
		['a public key', {privateKey: publicPemOf(keys.p256)}, /is no private key in PEM form/],
		['half a key', {privateKey: keys.rsa.pkcs8.slice(0, 400)}, /is no private key in PEM form/],
		['a curve that no server knows', {privateKey: koblitz}, /Use an EC key on P-256, P-384 or P-521/],
		['a short RSA key', {privateKey: makeClientKey('short', 'RSA', 1024).pkcs8}, /has only 1024 bits/],
		[
			'an algorithm for another kind of key',
			{privateKey: keys.p256.pkcs8, algorithm: 'RS256'},
			/cannot sign with RS256\. Set 'algorithm' to one of ES256/,
		],
		[
			'an algorithm that there is not',
			{privateKey: keys.rsa.pkcs8, algorithm: 'constructor'},
			/cannot sign with constructor\. Set 'algorithm' to one of RS256, PS256/,
		],
	];
	test.for(cases)('%s', async ([, options, message], {expect}) => {
		await using gatepass = await createRule('https://127.0.0.1:9', authority, {
			clientId: 'c',
			tokenEndpoint: 'https://127.0.0.1:9/token',
			...options,
		});
		const failure = gatepass.authorize('https://127.0.0.1:9/x');
		await expect(failure).rejects.toBeInstanceOf(CredentialUnavailableError);
		await expect(failure).rejects.toThrow(message);
		const error = await failure.catch((reason: unknown) => reason);
		expect(inspect(error)).not.toContain(String(options.privateKey).slice(-60).slice(0, 15));
		expect(inspect(error)).not.toContain('canary');
		// The same stands in the status, for whoever asks before the first request.
		expect(await gatepass.status()).toMatchObject([
			{available: false, detail: expect.stringMatching(message)},
		]);
	});

	test('a name or algorithm without a key is a mistake in the configuration', async () => {
		const rule = createRule('https://127.0.0.1:9', authority, {
			clientId: 'c',
			clientSecret: 's',
			tokenEndpoint: 'https://127.0.0.1:9/token',
			keyId: 'k',
			algorithm: 'ES256',
		});
		await expect(rule).rejects.toMatchObject({
			problems: [{path: 'hostRules[0].options.keyId'}, {path: 'hostRules[0].options.algorithm'}],
		});
	});
});

describe('the algorithm in the assertion', () => {
	test.for([
		{key: keys.ed25519, options: {}, alg: 'EdDSA'},
		{key: keys.ed25519, options: {algorithm: 'Ed25519'}, alg: 'Ed25519'},
		{key: keys.rsa, options: {}, alg: 'RS256'},
		{key: keys.rsa, options: {algorithm: 'PS384'}, alg: 'PS384'},
		{key: keys.p384, options: {keyId: 'of-the-option'}, alg: 'ES384', kid: 'of-the-option'},
	])('is $alg', async ({key, options, alg, kid}, {expect}) => {
		const provider = await startOidcProvider({
			authority,
			clientKeys: [{...key.jwk, kid: kid ?? key.jwk.kid ?? ''}],
		});
		try {
			await using gatepass = await createRule('https://127.0.0.1:9', authority, {
				clientId: 'private-key-jwt',
				privateKey: key.pkcs8,
				tokenEndpoint: provider.tokenEndpoint,
				...options,
			});
			await gatepass.authorize('https://127.0.0.1:9/x');
			const [form] = provider.forms;
			const assertion = String(form?.client_assertion);
			expect(decodeProtectedHeader(assertion)).toEqual({alg, ...(kid !== undefined && {kid})});
			// Without an issuer, what the endpoint is called stands in its place.
			expect(decodeJwt(assertion).aud).toBe(provider.tokenEndpoint);
		} finally {
			await provider.close();
		}
	});
});

function publicPemOf({privateKey}: ClientKey): string {
	return createPublicKey(privateKey).export({type: 'spki', format: 'pem'}) as string;
}
