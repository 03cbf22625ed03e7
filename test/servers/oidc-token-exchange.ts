/** Token exchange (RFC 8693) for oidc-provider, which has none of its own: a grant as its makers' documentation shows it. */
import {createLocalJWKSet, type JWK, jwtVerify} from 'jose';
import {errors, type KoaContextWithOIDC, type Provider} from 'oidc-provider';
import {tokenExchangeGrant} from './oidc-clients.ts';

export interface TokenExchangeSettings {
	readonly issuer: string;
	readonly jwks: {readonly keys: JWK[]};
	/** Seconds. */
	readonly lifetime: number;
	readonly scope: string;
}

const accessToken = 'urn:ietf:params:oauth:token-type:access_token';
const acceptedTypes = [accessToken, 'urn:ietf:params:oauth:token-type:jwt'];

/** What a token that was exchanged says besides the usual: whose it is, and who acts (RFC 8693 section 4.1). */
const claimsOf = new WeakMap<object, Record<string, unknown>>();

/** For `extraTokenClaims` of the provider. */
export function exchangeClaims(context: KoaContextWithOIDC): Record<string, unknown> | undefined {
	return claimsOf.get(context);
}

/** For other grants. */
export function setExtraClaims(context: KoaContextWithOIDC, claims: Record<string, unknown>): void {
	claimsOf.set(context, claims);
}

export function addTokenExchange(provider: Provider, settings: TokenExchangeSettings): void {
	const keys = createLocalJWKSet(settings.jwks);
	/** Who a token speaks for: an opaque one is looked up, a JWT verified. */
	const subjectOf = async (token: unknown, type: unknown, parameter: string): Promise<string> => {
		if (typeof token !== 'string' || typeof type !== 'string') {
			throw new errors.InvalidRequest(`${parameter} and ${parameter}_type are both needed`);
		}
		if (!acceptedTypes.includes(type)) throw new errors.InvalidRequest(`no ${parameter}_type of the kind`);
		const stored = await provider.ClientCredentials.find(token);
		if (stored?.isValid) return String(stored.clientId);
		try {
			const {payload} = await jwtVerify(token, keys, {issuer: settings.issuer});
			return String(payload.exchanged_sub ?? payload.sub);
		} catch {
			throw new errors.InvalidGrant(`${parameter} is not valid`);
		}
	};
	const exchange = async (context: KoaContextWithOIDC): Promise<void> => {
		const {params = {}, client} = context.oidc;
		const {subject_token, subject_token_type, actor_token, actor_token_type, audience, resource} = params;
		const subject = await subjectOf(subject_token, subject_token_type, 'subject_token');
		const actor =
			actor_token === undefined ? undefined : await subjectOf(actor_token, actor_token_type, 'actor_token');
		claimsOf.set(context, {exchanged_sub: subject, ...(actor !== undefined && {act: {sub: actor}})});
		const token = new provider.ClientCredentials({
			client: client as NonNullable<typeof client>,
			...(typeof params.scope === 'string' && {scope: params.scope}),
		});
		const targets = [audience, resource].flat().filter(target => typeof target === 'string');
		token.resourceServer = new provider.ResourceServer(targets[0] ?? 'urn:audience:default', {
			scope: settings.scope,
			audience: targets[0] ?? 'default',
			accessTokenTTL: settings.lifetime,
			accessTokenFormat: 'jwt',
			jwt: {sign: {alg: 'ES256'}},
		});
		context.body = {
			access_token: await token.save(),
			issued_token_type: params.requested_token_type ?? accessToken,
			// Section 2.2.1: a token of another type need not be one that is shown as a bearer token.
			token_type: (params.requested_token_type ?? accessToken) === accessToken ? token.tokenType : 'N_A',
			expires_in: token.expiration,
		};
	};
	provider.registerGrantType(
		tokenExchangeGrant,
		exchange,
		[
			...['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type'],
			...['requested_token_type', 'audience', 'resource', 'scope'],
		],
		['audience', 'resource'],
	);
}
