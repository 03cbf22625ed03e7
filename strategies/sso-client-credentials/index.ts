/** `sso-client-credentials`: a token by the client credentials grant (RFC 6749 section 4.4). */
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialAtHand,
	type CredentialStatus,
	Environment,
	type Examination,
	HttpClient,
	Identities,
	inject,
	Notices,
	RuleInfo,
	StrategyOptions,
	TokenCache,
} from '../../src/strategy/index.ts';
import type {Grant} from '../sso/grant.ts';
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
export class SsoClientCredentialsStrategy implements AuthStrategy {
	readonly #conversation: TokenConversation;
	readonly #client: TokenClient;

	constructor(
		@inject(StrategyOptions) options: SsoOptions,
		@inject(TokenCache) tokens: TokenCache,
		@inject(HttpClient) http: HttpClient,
		@inject(Identities) identities: Identities,
		@inject(Environment) environment: Environment,
		@inject(Notices) notices: Notices,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		this.#client = new TokenClient(options, {http, identities, environment, notices, rule});
		const grant: Grant = {type: 'client_credentials', parameters: commonParameters(options)};
		this.#conversation = new TokenConversation({
			strategy: 'sso-client-credentials',
			options,
			tokens,
			client: this.#client,
			tenant: rule.tenant,
			grants: {for: () => grant, known: () => grant, only: grant},
		});
	}

	dispose(): void {
		this.#client.dispose();
	}

	authenticate(request: AuthRequest): Conversation {
		return this.#conversation.authenticate(request);
	}

	atHand({tenant}: Pick<AuthRequest, 'tenant'>): CredentialAtHand | undefined {
		return this.#conversation.atHand({tenant});
	}

	status(settings?: {verify?: boolean}): Promise<CredentialStatus> {
		return this.#conversation.status(settings);
	}

	examine(url: URL): Promise<Examination> {
		return this.#conversation.examine(url);
	}

	forget(): Promise<void> {
		return this.#conversation.forget();
	}
}
