/** What the tests of the OAuth protocol share: both authorization servers, and a gatepass with one rule for an API. */
import {createPrivateKey, generateKeyPairSync, type KeyObject} from 'node:crypto';
import type {JWK} from 'jose';
import {afterEach, expect} from 'vitest';
import {createGatepass, type Gatepass, TokenRequestError} from '../../src/index.ts';
import type {TestAuthority} from '../../src/testing/authority.ts';
import type {RealServer} from '../servers/availability.ts';
import {glewlwyd, glewlwydClients, glewlwydResources, startGlewlwyd} from '../servers/glewlwyd.ts';
import {clients, startOidcProvider} from '../servers/oidc-provider.ts';

/** An authorization server that runs. */
export interface AuthorizationServer {
	readonly issuer: string;
	readonly tokenEndpoint: string;
	readonly authority: Pick<TestAuthority, 'ca' | 'issue'>;
	readonly jwks: {readonly keys: JWK[]};
	/** How many tokens it has issued. */
	issued(): number;
	close(): Promise<void>;
}

export interface ServerSettings {
	readonly authority: TestAuthority;
	readonly clientKeys?: readonly JWK[];
	readonly demandsNonce?: boolean;
}

/** A kind of authorization server, with what rules need to say to get a JWT for an API from it. */
export interface ServerKind {
	readonly name: string;
	/** Empty: it is at hand everywhere. */
	readonly needs: readonly RealServer[];
	readonly clients: {
		readonly [method in 'basic' | 'post' | 'secretJwt' | 'privateKeyJwt' | 'mtls']: Readonly<
			Record<string, string>
		>;
	};
	/** Asks for a token that is a JWT. */
	readonly target: Readonly<Record<string, unknown>>;
	readonly audience: string;
	start(settings: ServerSettings): Promise<AuthorizationServer>;
}

export const serverKinds: readonly ServerKind[] = [
	{
		name: 'oidc-provider',
		needs: [],
		clients,
		target: {audience: 'reports-api', scope: 'read'},
		audience: 'reports-api',
		async start(settings) {
			const provider = await startOidcProvider(settings);
			const issued = (): number => provider.tokenRequests.filter(({error}) => error === undefined).length;
			return {...provider, issued};
		},
	},
	{
		name: 'glewlwyd',
		needs: [glewlwyd],
		clients: glewlwydClients,
		target: {resource: glewlwydResources[0], scope: 'read'},
		audience: glewlwydResources[0],
		start: startGlewlwyd,
	},
];

/** A gatepass whose one rule, for `match`, has this strategy; the authority vouches for every server on this machine. */
export function createRule(
	match: string,
	authority: Pick<TestAuthority, 'ca'>,
	options: Readonly<Record<string, unknown>>,
	{strategy = 'sso-client-credentials', ...more}: {strategy?: string; [setting: string]: unknown} = {},
): Promise<Gatepass> {
	const {
		env,
		cwd,
		cache = {url: 'memory:'},
		...rule
	} = more as {
		env?: Record<string, string>;
		cwd?: string;
		cache?: {url: string};
	};
	return createGatepass({
		...(env !== undefined && {env}),
		...(cwd !== undefined && {cwd}),
		config: {
			cache,
			trust: [{match: 'https://127.0.0.1:*', ca: authority.ca, only: true}],
			hostRules: [{match, strategy, options, ...rule}],
		},
	});
}

/** Gives a function for what is to be ended after the test, the last one first. To be called once in a file. */
export function endAfterEach(): <Closeable extends {close(): Promise<unknown>}>(
	closeable: Closeable,
) => Closeable {
	const open: {close(): Promise<unknown>}[] = [];
	afterEach(async () => {
		for (const closeable of open.splice(0).reverse()) await closeable.close();
	});
	return closeable => {
		open.push(closeable);
		return closeable;
	};
}

/** What a promise rejects with, which has to be a `TokenRequestError`. */
export async function tokenRequestErrorOf(promise: PromiseLike<unknown>): Promise<TokenRequestError> {
	const error = await Promise.resolve(promise).then(
		() => undefined,
		(failure: unknown) => failure,
	);
	expect(error).toBeInstanceOf(TokenRequestError);
	return error as TokenRequestError;
}

/** A private key in all the forms that PEM files have, and its public half for the server. */
export interface ClientKey {
	readonly privateKey: KeyObject;
	/** PKCS#8: `BEGIN PRIVATE KEY`. */
	readonly pkcs8: string;
	readonly jwk: JWK;
}

export function makeClientKey(kid: string, ...parameters: Parameters<typeof generate>): ClientKey {
	const {privateKey, publicKey} = generate(...parameters);
	return {
		privateKey,
		pkcs8: privateKey.export({type: 'pkcs8', format: 'pem'}) as string,
		jwk: {...(publicKey.export({format: 'jwk'}) as JWK), kid},
	};
}

function generate(
	kind: 'P-256' | 'P-384' | 'P-521' | 'RSA' | 'Ed25519',
	modulusLength = 2048,
): {privateKey: KeyObject; publicKey: KeyObject} {
	if (kind === 'RSA') return generateKeyPairSync('rsa', {modulusLength});
	if (kind === 'Ed25519') return generateKeyPairSync('ed25519');
	return generateKeyPairSync('ec', {namedCurve: kind});
}

/** The same key in PEM of another form: PKCS#1 (`BEGIN RSA PRIVATE KEY`) or SEC 1 (`BEGIN EC PRIVATE KEY`). */
export function inForm(pkcs8: string, type: 'pkcs1' | 'sec1'): string {
	return createPrivateKey(pkcs8).export({type, format: 'pem'}) as string;
}
