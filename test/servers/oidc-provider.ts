/**
 * A certified authorization server, oidc-provider, in the process: client credentials with every way for a client to
 * authenticate, an `audience` as CERN's and Keycloak's token endpoints take it, and access tokens as JWT (RFC 9068).
 */
import type {webcrypto} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import {createServer as createHttpServer, type Server} from 'node:http';
import {createServer as createHttpsServer} from 'node:https';
import type {AddressInfo} from 'node:net';
import type {TLSSocket} from 'node:tls';
import {exportJWK, generateKeyPair, type JWK} from 'jose';
import {
	type ClientMetadata,
	type Configuration,
	errors,
	type KoaContextWithOIDC,
	Provider,
} from 'oidc-provider';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {memoryAdapter} from './memory-adapter.ts';

export interface OidcProviderSettings {
	/** Plain http is for rules that are allowed it on loopback. Default: `https`. */
	readonly scheme?: 'https' | 'http';
	/** Vouches for the server, and for clients with a certificate. Default: one of its own. */
	readonly authority?: TestAuthority;
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
	readonly authority: TestAuthority;
	/** The public key that its tokens are signed with. */
	readonly jwks: {readonly keys: JWK[]};
	/** Private key of the client `private-key-jwt` (ES256). */
	readonly clientKey: webcrypto.CryptoKey;
	/** Every token request so far. */
	readonly tokenRequests: readonly TokenRequestSeen[];
	close(): Promise<void>;
}

/** The clients with a secret. Both secrets have characters that must be form-urlencoded (RFC 6749 section 2.3.1). */
export const clients = {
	basic: {clientId: 'report reader', clientSecret: 's3cr:et/+% &='},
	post: {clientId: 'run-archiver', clientSecret: 'p0st:se/cr+et%41 &'},
} as const;

const scope = 'read write';
const audienceUrn = 'urn:audience:';

export async function startOidcProvider(settings: OidcProviderSettings = {}): Promise<OidcProvider> {
	const {scheme = 'https', audiences = ['reports-api'], lifetime = 300_000, tokenPath = '/token'} = settings;
	const authority = settings.authority ?? (await createTestAuthority());
	const server = scheme === 'https' ? await createTlsServer(authority) : createHttpServer();
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	const issuer = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`;
	const [signing, client] = await Promise.all([newKeyPair('server-1'), newKeyPair('client-1')]);
	const provider = new Provider(issuer, {
		adapter: memoryAdapter(),
		clients: knownClients(client.publicJwk),
		// One kind of key signs all, so that starting costs milliseconds.
		clientDefaults: {id_token_signed_response_alg: 'ES256'},
		clientAuthMethods: [
			'client_secret_basic',
			'client_secret_post',
			'client_secret_jwt',
			'private_key_jwt',
			'tls_client_auth',
		],
		jwks: {keys: [signing.privateJwk]},
		routes: {token: tokenPath},
		scopes: scope.split(' '),
		ttl: {ClientCredentials: lifetime / 1000},
		features: featuresFor(new Set(audiences), lifetime / 1000),
	});
	const tokenRequests: TokenRequestSeen[] = [];
	const record = (context: KoaContextWithOIDC, error?: errors.OIDCProviderError): void => {
		tokenRequests.push({
			clientId: context.oidc.client?.clientId,
			audience: audienceOf(context),
			usedHeader: context.get('authorization').startsWith('Basic '),
			...(error !== undefined && {error: error.error}),
		});
	};
	provider.on('grant.success', context => record(context));
	provider.on('grant.error', record);
	server.on('request', provider.callback());
	return {
		issuer,
		tokenEndpoint: issuer + tokenPath,
		ca: authority.ca,
		authority,
		jwks: {keys: [signing.publicJwk]},
		clientKey: client.privateKey,
		tokenRequests,
		async close() {
			server.closeAllConnections();
			await new Promise(resolve => server.close(resolve));
			if (settings.authority === undefined) await authority.close();
		},
	};
}

/** A client certificate is asked for and not demanded: most clients here have none. */
async function createTlsServer(authority: TestAuthority): Promise<Server> {
	const own = await authority.issue('oidc-provider', {
		subject: 'CN=oidc-provider',
		hosts: ['127.0.0.1', 'localhost'],
	});
	const [cert, key, ca] = await Promise.all(
		[own.certificate, own.key, authority.ca].map(file => readFile(file)),
	);
	return createHttpsServer({cert, key, ca, requestCert: true, rejectUnauthorized: false});
}

function knownClients(publicJwk: JWK): ClientMetadata[] {
	const common = {grant_types: ['client_credentials'], response_types: [], redirect_uris: [], scope};
	return [
		{
			...common,
			client_id: clients.basic.clientId,
			client_secret: clients.basic.clientSecret,
			token_endpoint_auth_method: 'client_secret_basic',
		},
		{
			...common,
			client_id: clients.post.clientId,
			client_secret: clients.post.clientSecret,
			token_endpoint_auth_method: 'client_secret_post',
		},
		{
			...common,
			client_id: 'private-key-jwt',
			token_endpoint_auth_method: 'private_key_jwt',
			token_endpoint_auth_signing_alg: 'ES256',
			jwks: {keys: [publicJwk]},
		},
		{
			...common,
			client_id: 'mtls',
			token_endpoint_auth_method: 'tls_client_auth',
			tls_client_auth_subject_dn: 'CN=mtls client',
			tls_client_certificate_bound_access_tokens: true,
		},
	];
}

function featuresFor(audiences: ReadonlySet<string>, lifetime: number): Configuration['features'] {
	return {
		devInteractions: {enabled: false},
		clientCredentials: {enabled: true},
		dPoP: {enabled: true},
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

async function newKeyPair(
	kid: string,
): Promise<{privateKey: webcrypto.CryptoKey; privateJwk: JWK; publicJwk: JWK}> {
	const {privateKey, publicKey} = await generateKeyPair('ES256', {extractable: true});
	const use = {kid, alg: 'ES256', use: 'sig'};
	return {
		privateKey,
		privateJwk: {...(await exportJWK(privateKey)), ...use},
		publicJwk: {...(await exportJWK(publicKey)), ...use},
	};
}
