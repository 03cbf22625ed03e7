/** The clients that the test's oidc-provider knows: one for each way to authenticate. */
import type {JWK} from 'jose';
import type {ClientMetadata} from 'oidc-provider';

/** Both secrets of the first two have characters that must be form-urlencoded (RFC 6749 section 2.3.1). */
export const clients = {
	basic: {clientId: 'report reader', clientSecret: 's3cr:et/+% &='},
	post: {clientId: 'run-archiver', clientSecret: 'p0st:se/cr+et%41 &'},
	secretJwt: {clientId: 'secret-jwt', clientSecret: 'a secret of at least thirty-two bytes, as HS256 wants'},
	privateKeyJwt: {clientId: 'private-key-jwt'},
	/** Its certificate is for `CN=mtls client`, and so are its tokens. */
	mtls: {clientId: 'mtls'},
	/** It has no secret, so it may exchange tokens and nothing else. */
	public: {clientId: 'public'},
	/** Acts for a user, by a refresh token: oidc-agent. */
	agent: {clientId: 'oidc-agent', clientSecret: 's3cret-of-oidc-agent'},
} as const;

export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const jwtBearerGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/** The metadata of each (RFC 7591). `keys`: the public ones of `private-key-jwt`. */
export function knownClients(scope: string, keys: readonly JWK[]): ClientMetadata[] {
	const common = {
		grant_types: ['client_credentials', tokenExchangeGrant, jwtBearerGrant],
		response_types: [],
		redirect_uris: [],
		scope,
	};
	const withSecret = (
		{clientId, clientSecret}: {clientId: string; clientSecret: string},
		method: 'client_secret_basic' | 'client_secret_post' | 'client_secret_jwt',
	): ClientMetadata => ({
		...common,
		client_id: clientId,
		client_secret: clientSecret,
		token_endpoint_auth_method: method,
	});
	return [
		withSecret(clients.basic, 'client_secret_basic'),
		withSecret(clients.post, 'client_secret_post'),
		withSecret(clients.secretJwt, 'client_secret_jwt'),
		{
			...common,
			client_id: clients.privateKeyJwt.clientId,
			token_endpoint_auth_method: 'private_key_jwt',
			jwks: {keys: [...keys]},
		},
		{
			...common,
			client_id: clients.mtls.clientId,
			token_endpoint_auth_method: 'tls_client_auth',
			tls_client_auth_subject_dn: 'CN=mtls client',
			tls_client_certificate_bound_access_tokens: true,
		},
		{
			...common,
			grant_types: [tokenExchangeGrant, jwtBearerGrant],
			client_id: clients.public.clientId,
			token_endpoint_auth_method: 'none',
		},
		{
			client_id: clients.agent.clientId,
			client_secret: clients.agent.clientSecret,
			token_endpoint_auth_method: 'client_secret_basic',
			grant_types: ['authorization_code', 'refresh_token'],
			response_types: ['code'],
			redirect_uris: ['http://localhost:4242'],
			scope: `openid offline_access ${scope}`,
		},
	];
}
