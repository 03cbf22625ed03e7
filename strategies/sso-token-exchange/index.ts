/** `sso-token-exchange`: a token for a token (RFC 8693), to act as somebody or on somebody's behalf. */
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	Environment,
	HttpClient,
	Identities,
	inject,
	RuleInfo,
	Strategies,
	StrategyOptions,
	TokenCache,
} from '../../src/strategy.ts';
import {endpointsOf} from '../sso/options.ts';
import {TokenClient} from '../sso/token-client.ts';
import {commonParameters, type Grant, TokenConversation} from '../sso/token-conversation.ts';
import {type TokenExchangeOptions, tokenExchangeOptions} from './options.ts';
import {tokenReader} from './token-reader.ts';

/**
 * Shows a token that the client gets for another token (RFC 8693), one for each subject. After a 401 it is dropped,
 * exchanged anew, and the request sent once more.
 *
 * Fails as `sso-client-credentials` does, and with a `CredentialUnavailableError` where there is no subject token.
 */
@authStrategy<typeof tokenExchangeOptions>({
	name: 'sso-token-exchange',
	options: tokenExchangeOptions,
	endpoints: endpointsOf,
	nested: options =>
		(['subjectToken', 'actorToken'] as const)
			.filter(name => typeof options[name] === 'object' && 'rule' in options[name])
			.map(name => [name, 'rule']),
})
export class SsoTokenExchangeStrategy implements AuthStrategy {
	readonly #conversation: TokenConversation;

	constructor(
		@inject(StrategyOptions) options: TokenExchangeOptions,
		@inject(TokenCache) tokens: TokenCache,
		@inject(HttpClient) http: HttpClient,
		@inject(Identities) identities: Identities,
		@inject(Environment) environment: Environment,
		@inject(Strategies) strategies: Strategies,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		const {subjectToken, subjectTokenType, actorToken, actorTokenType, requestedTokenType} = options;
		const services = {environment, strategies, rule};
		const readSubject = tokenReader(subjectToken, 'subjectToken', services);
		const readActor = actorToken === undefined ? undefined : tokenReader(actorToken, 'actorToken', services);
		const grant = async (request?: AuthRequest): Promise<Grant> => {
			const subject = await readSubject(request);
			const actor = await readActor?.(request);
			const parameters = commonParameters(options);
			parameters.set('subject_token', subject);
			parameters.set('subject_token_type', subjectTokenType);
			if (actor !== undefined) {
				parameters.set('actor_token', actor);
				parameters.set('actor_token_type', actorTokenType);
			}
			if (requestedTokenType !== undefined) parameters.set('requested_token_type', requestedTokenType);
			// Another subject is another token, however alike the rest is.
			const distinguishing = {
				subject,
				subjectTokenType,
				...(actor !== undefined && {actor, actorTokenType}),
				...(requestedTokenType !== undefined && {requestedTokenType}),
			};
			return {type: 'urn:ietf:params:oauth:grant-type:token-exchange', parameters, distinguishing};
		};
		const client = new TokenClient(options, {http, identities, environment, rule});
		this.#conversation = new TokenConversation({
			strategy: 'sso-token-exchange',
			options,
			tokens,
			client,
			grant,
		});
	}

	authenticate(request: AuthRequest): Conversation {
		return this.#conversation.authenticate(request);
	}

	status(settings?: {verify?: boolean}): Promise<CredentialStatus> {
		return this.#conversation.status(settings);
	}

	forget(): Promise<void> {
		return this.#conversation.forget();
	}
}
