/**
 * A certified authorization server, oidc-provider, in the process: client credentials with every way for a client to
 * authenticate, token exchange, an `audience` as CERN's and Keycloak's token endpoints take it, and access tokens as
 * JWT (RFC 9068); those without audience are opaque.
 */
import {randomBytes} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import {createServer as createHttpServer, type Server} from 'node:http';
import {createServer as createHttpsServer} from 'node:https';
import type {AddressInfo} from 'node:net';
import type {TLSSocket} from 'node:tls';
import {exportJWK, generateKeyPair, type JWK} from 'jose';
import {type Configuration, errors, type KoaContextWithOIDC, Provider} from 'oidc-provider';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {memoryAdapter} from './memory-adapter.ts';
import {clients, knownClients} from './oidc-clients.ts';
import {addJwtBearer} from './oidc-jwt-bearer.ts';
import {addTokenExchange, exchangeClaims} from './oidc-token-exchange.ts';

export {clients} from './oidc-clients.ts';

export interface OidcProviderSettings {
	/** Plain http is for rules that are allowed it on loopback. Default: `https`. */
	readonly scheme?: 'https' | 'http';
	/** Vouches for the server, and for clients with a certificate. Default: one of its own. */
	readonly authority?: Pick<TestAuthority, 'ca' | 'issue'>;
	/** Public keys of the client `private-key-jwt`, and of whoever makes assertions (RFC 7523 section 2.1). */
	readonly clientKeys?: readonly JWK[];
	/** Whether proofs must have a nonce of the server's (RFC 9449 section 8). Default: it gives none. */
	readonly demandsNonce?: boolean;
	/** Paths that are not there. */
	readonly hides?: readonly string[];
	/** More metadata, in the place of the server's own. */
	readonly metadata?: Readonly<Record<string, unknown>>;
	/** What a token can be asked for; any other audience is an `invalid_target`. */
	readonly audiences?: readonly string[];
	/** Where its token endpoint is. Default: `/token`. */
	readonly tokenPath?: string;
	/** Milliseconds that a token lives, in whole seconds. Default: five minutes. */
	readonly lifetime?: number;
}

/** A token request, as the server saw it. */
export interface TokenRequestSeen {
	readonly clientId: string | undefined;
	readonly audience: string | undefined;
	/** Whether the secret came in a header (`client_secret_basic`). */
	readonly usedHeader: boolean;
	/** The OAuth error code; absent where a token was issued. */
	readonly error?: string;
}

export interface OidcProvider {
	/** Scheme, host and port. */
	readonly issuer: string;
	readonly tokenEndpoint: string;
	/** PEM file of the CA that vouches for the server. */
	readonly ca: string;
	readonly authority: Pick<TestAuthority, 'ca' | 'issue'>;
	/** The public key that its tokens are signed with. */
	readonly jwks: {readonly keys: JWK[]};
	/** Every token request so far. */
	readonly tokenRequests: readonly TokenRequestSeen[];
	/** What came with each, by name, without the client's authentication being taken out. */
	readonly forms: readonly Readonly<Record<string, string | string[] | undefined>>[];
	/** Method and path of every request so far. */
	readonly requests: readonly string[];
	/** Whether an opaque token is known and valid, by what the server has stored. */
	isActive(token: string): Promise<boolean>;
	/** A refresh token of the client `oidc-agent`, as a user would have let it have one. */
	refreshTokenFor(user: string): Promise<string>;
	/** Whose opaque access token it is, by what the server has stored; `undefined`: it is no valid one of a user. */
	userOf(token: string): Promise<string | undefined>;
	/** Take all of a user's refresh tokens back. */
	expireRefreshTokens(): Promise<void>;
	/** Take an opaque token back, as its administrator may. */
	revoke(token: string): Promise<void>;
	close(): Promise<void>;
}

/** Every scope there is. */
const scope = 'read write';
const audienceUrn = 'urn:audience:';

/** With all of these a client may sign what proves who it is. */
const signingAlgorithms = [
	...['HS256', 'RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
	...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
] as const;

export async function startOidcProvider(settings: OidcProviderSettings = {}): Promise<OidcProvider> {
	const {scheme = 'https', audiences = ['reports-api'], lifetime = 300_000, tokenPath = '/token'} = settings;
	const own = settings.authority === undefined ? await createTestAuthority() : undefined;
	const authority = settings.authority ?? (own as TestAuthority);
	const server = scheme === 'https' ? await createTlsServer(authority) : createHttpServer();
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	const issuer = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
	const signing = await newKeyPair('server-1');
	const provider = new Provider(issuer, {
		adapter: memoryAdapter(),
		clients: knownClients(scope, settings.clientKeys ?? []),
		// One kind of key signs all, so that starting costs milliseconds.
		clientDefaults: {id_token_signed_response_alg: 'ES256'},
		clientAuthMethods: [
			'client_secret_basic',
			'client_secret_post',
			'client_secret_jwt',
			'private_key_jwt',
			'tls_client_auth',
			'none',
		],
		enabledJWA: {clientAuthSigningAlgValues: [...signingAlgorithms]},
		jwks: {keys: [signing.privateJwk]},
		routes: {token: tokenPath},
		scopes: ['openid', 'offline_access', ...scope.split(' ')],
		findAccount: (_, accountId) => ({accountId, claims: () => ({sub: accountId})}),
		ttl: {
			ClientCredentials: lifetime / 1000,
			AccessToken: lifetime / 1000,
			Grant: 3600,
			RefreshToken: 3600,
			IdToken: 3600,
		},
		features: featuresFor(new Set(audiences), lifetime / 1000, settings.demandsNonce ?? false),
		extraTokenClaims: exchangeClaims,
		...(settings.metadata !== undefined && {discovery: settings.metadata}),
	});
	addTokenExchange(provider, {issuer, jwks: {keys: [signing.publicJwk]}, lifetime: lifetime / 1000, scope});
	addJwtBearer(provider, {
		audiences: [issuer, issuer + tokenPath],
		keys: settings.clientKeys ?? [],
		lifetime: lifetime / 1000,
		scope,
	});
	const tokenRequests: TokenRequestSeen[] = [];
	const refreshTokens: string[] = [];
	const forms: Record<string, string | string[] | undefined>[] = [];
	const requests: string[] = [];
	const record = (context: KoaContextWithOIDC, error?: errors.OIDCProviderError): void => {
		tokenRequests.push({
			clientId: context.oidc.client?.clientId,
			audience: audienceOf(context),
			usedHeader: context.get('authorization').startsWith('Basic '),
			...(error !== undefined && {error: error.error}),
		});
		forms.push({...(context.oidc.body as Record<string, string | string[]>)});
	};
	provider.on('grant.success', context => record(context));
	provider.on('grant.error', record);
	const answer = provider.callback();
	server.on('request', (request, response) => {
		requests.push(`${request.method} ${request.url}`);
		if (settings.hides?.includes(request.url ?? '')) response.writeHead(404).end();
		else answer(request, response);
	});
	return {
		issuer,
		tokenEndpoint: issuer + tokenPath,
		ca: authority.ca,
		authority,
		jwks: {keys: [signing.publicJwk]},
		tokenRequests,
		forms,
		requests,
		isActive: async token => (await provider.ClientCredentials.find(token))?.isValid ?? false,
		async refreshTokenFor(user) {
			const scope = 'openid offline_access read write';
			const grant = new provider.Grant({accountId: user, clientId: clients.agent.clientId});
			grant.addOIDCScope('openid offline_access');
			for (const audience of audiences) grant.addResourceScope(audienceUrn + audience, 'read write');
			grant.addOIDCScope(scope);
			const client = await provider.Client.find(clients.agent.clientId);
			const token = new provider.RefreshToken({
				accountId: user,
				client: client as NonNullable<typeof client>,
				grantId: await grant.save(),
				gty: 'authorization_code',
				scope,
			} as ConstructorParameters<typeof provider.RefreshToken>[0]);
			const value = await token.save();
			refreshTokens.push(value);
			return value;
		},
		async userOf(token) {
			const stored = await provider.AccessToken.find(token);
			return stored?.isValid ? stored.accountId : undefined;
		},
		async expireRefreshTokens() {
			for (const value of refreshTokens.splice(0)) await (await provider.RefreshToken.find(value))?.destroy();
		},
		revoke: async token => (await provider.ClientCredentials.find(token))?.destroy(),
		async close() {
			server.closeAllConnections();
			await new Promise(resolve => server.close(resolve));
			await own?.close();
		},
	};
}

/** A client certificate is asked for and not demanded: most clients here have none. */
async function createTlsServer(authority: Pick<TestAuthority, 'ca' | 'issue'>): Promise<Server> {
	const own = await authority.issue('oidc-provider', {
		subject: 'CN=oidc-provider',
		hosts: ['127.0.0.1', 'localhost'],
	});
	const [cert, key, ca] = await Promise.all(
		[own.certificate, own.key, authority.ca].map(file => readFile(file)),
	);
	return createHttpsServer({cert, key, ca, requestCert: true, rejectUnauthorized: false});
}

function featuresFor(
	audiences: ReadonlySet<string>,
	lifetime: number,
	demandsNonce: boolean,
): Configuration['features'] {
	return {
		devInteractions: {enabled: false},
		clientCredentials: {enabled: true},
		dPoP: demandsNonce
			? {enabled: true, requireNonce: () => true, nonceSecret: randomBytes(32)}
			: {enabled: true},
		introspection: {enabled: true, allowedPolicy: () => true},
		revocation: {enabled: true, allowedPolicy: () => true},
		mTLS: {
			enabled: true,
			certificateBoundAccessTokens: true,
			tlsClientAuth: true,
			getCertificate: ({req}) => (req.socket as TLSSocket).getPeerX509Certificate?.(),
			certificateAuthorized: ({req}) => (req.socket as TLSSocket).authorized,
			certificateSubjectMatches: ({req}, property, expected) =>
				property === 'tls_client_auth_subject_dn' &&
				(req.socket as TLSSocket).getPeerX509Certificate()?.subject === expected,
		},
		resourceIndicators: {
			enabled: true,
			// RFC 8707 takes URIs; CERN's and Keycloak's `audience` is a plain name.
			defaultResource: context => {
				const audience = audienceOf(context);
				return audience === undefined ? undefined : audienceUrn + encodeURIComponent(audience);
			},
			getResourceServerInfo: (_context, resource) => {
				// An `audience`, or else a `resource`.
				const audience = decodeURIComponent(resource.replace(audienceUrn, ''));
				if (!audiences.has(audience)) throw new errors.InvalidTarget();
				return {
					scope,
					audience,
					accessTokenTTL: lifetime,
					accessTokenFormat: 'jwt',
					jwt: {sign: {alg: 'ES256'}},
				};
			},
		},
	};
}

function audienceOf({oidc}: KoaContextWithOIDC): string | undefined {
	const audience = oidc.body?.audience;
	return typeof audience === 'string' ? audience : undefined;
}

async function newKeyPair(kid: string): Promise<{privateJwk: JWK; publicJwk: JWK}> {
	const {privateKey, publicKey} = await generateKeyPair('ES256', {extractable: true});
	const use = {kid, alg: 'ES256', use: 'sig'};
	return {
		privateJwk: {...(await exportJWK(privateKey)), ...use},
		publicJwk: {...(await exportJWK(publicKey)), ...use},
	};
}
