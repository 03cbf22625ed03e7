/** `sso-jwt-bearer`: a token by an assertion (RFC 7523 section 2.1), as service accounts get it. */
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
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
import {keycloaksEndpoint as endpointInRealm, endpointsOf} from '../sso/options.ts';
import {TokenClient} from '../sso/token-client.ts';
import {commonParameters, TokenConversation} from '../sso/token-conversation.ts';
import {type AssertionPart, type Assertions, assertionsOf, clientOptions} from './assertion.ts';
import {type JwtBearerOptions, jwtBearerOptions} from './options.ts';

const jwtBearerGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

/**
 * Shows a token that is given for an assertion: one that somebody else made, read again for each token request, or one
 * that is signed here with a key. After a 401 it is dropped, fetched again, and the request sent once more.
 *
 * Fails as `sso-client-credentials` does, and with a `CredentialUnavailableError` where there is no assertion.
 */
@authStrategy<typeof jwtBearerOptions>({
	name: 'sso-jwt-bearer',
	options: jwtBearerOptions,
	endpoints: options => endpointsOf({...options, endpointInRealm}),
})
export class SsoJwtBearerStrategy implements AuthStrategy {
	readonly #conversation: TokenConversation;
	readonly #client: TokenClient;
	readonly #assertions: Assertions;
	readonly #parameters: URLSearchParams;
	#last: {readonly part: AssertionPart; readonly grant: Grant} | undefined;

	constructor(
		@inject(StrategyOptions) given: JwtBearerOptions,
		@inject(TokenCache) tokens: TokenCache,
		@inject(HttpClient) http: HttpClient,
		@inject(Identities) identities: Identities,
		@inject(Environment) environment: Environment,
		@inject(Notices) notices: Notices,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		const options = {...clientOptions(given, environment), endpointInRealm};
		this.#parameters = commonParameters(options);
		this.#assertions = assertionsOf(given, {environment, notices, rule});
		this.#client = new TokenClient(options, {http, identities, environment, notices, rule});
		this.#conversation = new TokenConversation({
			strategy: 'sso-jwt-bearer',
			options,
			tokens,
			client: this.#client,
			tenant: rule.tenant,
			grants: {for: () => this.#grant(), known: () => this.#grant()},
		});
	}

	authenticate(request: AuthRequest): Conversation {
		return this.#conversation.authenticate(request);
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

	dispose(): void {
		this.#assertions.dispose();
		this.#client.dispose();
	}

	/** The same object as long as the assertion speaks for the same one, so that nothing is hashed again. */
	async #grant(): Promise<Grant> {
		const part = await this.#assertions.part();
		if (this.#last?.part !== part) {
			this.#last = {part, grant: {type: jwtBearerGrant, parameters: this.#parameters, ...part}};
		}
		return this.#last.grant;
	}
}
