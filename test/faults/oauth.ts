/** An authorization server with an API of its tokens, and rules for both. */
import type {ConfigurationInput} from '../../src/index.ts';
import {
	clients,
	type OidcProvider,
	type OidcProviderSettings,
	startOidcProvider,
} from '../servers/oidc-provider.ts';
import {type ProtectedApi, startProtectedApi} from '../servers/protected-api.ts';
import type {Stage} from './harness.ts';

export interface Api {
	readonly provider: OidcProvider;
	readonly api: ProtectedApi;
	/** A rule for the API, whose client is `report reader` unless the options say otherwise. */
	rule(options?: Record<string, unknown>, strategy?: string): ConfigurationInput;
}

/** @param audience whose tokens the API takes. */
export async function startApi(
	stage: Stage,
	settings: OidcProviderSettings = {},
	audience = 'reports-api',
): Promise<Api> {
	const provider = stage.ended(await startOidcProvider(settings));
	const api = stage.ended(await startProtectedApi(provider, {audience}));
	const {tokenEndpoint, ca} = provider;
	const usual = {...clients.basic, tokenEndpoint, audience: 'reports-api'};
	return {
		provider,
		api,
		rule: (options = {}, strategy = 'sso-client-credentials') => ({
			trust: [{match: '127.0.0.1:*', ca, only: true}],
			hostRules: [{match: api.url, strategy, options: {...usual, ...options}}],
		}),
	};
}

/** A token that says this; nobody looks at its signature. */
export function unsignedToken(claims: Record<string, unknown>): string {
	const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
	return `${part({alg: 'RS256', typ: 'JWT'})}.${part(claims)}.${Buffer.from('none').toString('base64url')}`;
}

/** Seconds since 1970. */
export const now = (): number => Math.floor(Date.now() / 1000);
