/** The JWT bearer grant (RFC 7523 section 2.1) for oidc-provider, which has none of its own; assertions are verified by jose. */
import {createLocalJWKSet, type JWK, type JWTPayload, jwtVerify} from 'jose';
import {errors, type KoaContextWithOIDC, type Provider} from 'oidc-provider';
import {jwtBearerGrant} from './oidc-clients.ts';
import {setExtraClaims} from './oidc-token-exchange.ts';

export interface JwtBearerSettings {
	/** What the server goes by. */
	readonly audiences: readonly string[];
	/** Public keys of whoever makes assertions. */
	readonly keys: readonly JWK[];
	/** Seconds. */
	readonly lifetime: number;
	readonly scope: string;
}

export function addJwtBearer(provider: Provider, settings: JwtBearerSettings): void {
	const keys = createLocalJWKSet({keys: [...settings.keys]});
	const seen = new Set<string>();
	const verify = async (assertion: unknown): Promise<JWTPayload> => {
		if (typeof assertion !== 'string') throw new errors.InvalidRequest('an assertion is needed');
		let payload: JWTPayload;
		try {
			({payload} = await jwtVerify(assertion, keys, {
				audience: [...settings.audiences],
				requiredClaims: ['iss', 'sub', 'exp'],
				// jose asks for the time when it was loaded; a server whose clock is put off has its own.
				currentDate: new Date(Date.now()),
			}));
		} catch {
			throw new errors.InvalidGrant('the assertion is not valid');
		}
		// One that was made in the future, or is used twice, is somebody's mistake.
		if ((payload.iat ?? 0) * 1000 > Date.now())
			throw new errors.InvalidGrant('the assertion is of the future');
		if (payload.jti !== undefined && seen.has(payload.jti))
			throw new errors.InvalidGrant('it was used before');
		if (payload.jti !== undefined) seen.add(payload.jti);
		return payload;
	};
	const grant = async (context: KoaContextWithOIDC): Promise<void> => {
		const {params = {}, client} = context.oidc;
		const {sub, iss, groups} = await verify(params.assertion);
		setExtraClaims(context, {exchanged_sub: sub, vouched_by: iss, groups});
		const token = new provider.ClientCredentials({
			client: client as NonNullable<typeof client>,
			...(typeof params.scope === 'string' && {scope: params.scope}),
		});
		const audience = typeof params.audience === 'string' ? params.audience : 'default';
		token.resourceServer = new provider.ResourceServer(`urn:audience:${audience}`, {
			scope: settings.scope,
			audience,
			accessTokenTTL: settings.lifetime,
			accessTokenFormat: 'jwt',
			jwt: {sign: {alg: 'ES256'}},
		});
		context.body = {
			access_token: await token.save(),
			token_type: token.tokenType,
			expires_in: token.expiration,
		};
	};
	provider.registerGrantType(jwtBearerGrant, grant, ['assertion', 'audience', 'scope']);
}
