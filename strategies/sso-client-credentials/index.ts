/** `sso-client-credentials`: a token by the client credentials grant (RFC 6749 section 4.4). */
import {
	authStrategy,
	Environment,
	HttpClient,
	Identities,
	inject,
	Notices,
	RuleInfo,
	StrategyOptions,
	TokenCache,
} from '../../src/strategy/index.ts';
import {endpointsOf, type SsoOptions} from '../sso/options.ts';
import {TokenClient} from '../sso/token-client.ts';
import {commonParameters, TokenConversation} from '../sso/token-conversation.ts';
import {ssoOptions} from './options.ts';

/**
 * Shows a token that the client gets for itself, as `Bearer` (RFC 6750) or `DPoP` (RFC 9449). After a 401 it is
 * dropped, fetched again, and the request sent once more.
 *
 * Fails with a `TokenRequestError` where there is no token to be had, with a `CredentialUnavailableError` where the
 * client is not named, and with an `InsecureTransportError` where an issuer's metadata names a plain http endpoint.
 */
@authStrategy({name: 'sso-client-credentials', options: ssoOptions, endpoints: endpointsOf})
export class SsoClientCredentialsStrategy extends TokenConversation {
	constructor(
		@inject(StrategyOptions) options: SsoOptions,
		@inject(TokenCache) tokens: TokenCache,
		@inject(HttpClient) http: HttpClient,
		@inject(Identities) identities: Identities,
		@inject(Environment) environment: Environment,
		@inject(Notices) notices: Notices,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		super({
			strategy: 'sso-client-credentials',
			options,
			tokens,
			client: new TokenClient(options, {http, identities, environment, notices, rule}),
			tenant: rule.tenant,
			grants: {type: 'client_credentials', parameters: commonParameters(options)},
		});
	}
}
