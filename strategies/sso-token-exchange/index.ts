/** `sso-token-exchange`: a token for a token (RFC 8693), to act as somebody or on somebody's behalf. */
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
	Strategies,
	StrategyOptions,
	TokenCache,
} from '../../src/strategy/index.ts';
import {claimsOf, type Doubt} from '../bearer/claims.ts';
import {printable} from '../bearer/printable.ts';
import type {Grant} from '../sso/grant.ts';
import {keycloaksEndpoint as endpointInRealm, endpointsOf} from '../sso/options.ts';
import {TokenClient} from '../sso/token-client.ts';
import {commonParameters, type Grants, TokenConversation} from '../sso/token-conversation.ts';
import {type TokenExchangeOptions, tokenExchangeOptions} from './options.ts';
import {type TokenSource, tokenSource} from './token-source.ts';

const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';

/**
 * Shows a token that the client gets for another token (RFC 8693), one for each subject. After a 401 it is dropped,
 * exchanged again, and the request sent once more.
 *
 * Fails as `sso-client-credentials` does, and with a `CredentialUnavailableError` where there is no subject token.
 */
@authStrategy<typeof tokenExchangeOptions>({
	name: 'sso-token-exchange',
	options: tokenExchangeOptions,
	endpoints: options => endpointsOf({...options, endpointInRealm}),
	nested: options =>
		(['subjectToken', 'actorToken'] as const)
			.filter(name => typeof options[name] === 'object' && 'rule' in options[name])
			.map(name => [name, 'rule']),
})
export class SsoTokenExchangeStrategy implements AuthStrategy {
	readonly #options: TokenExchangeOptions;
	readonly #subject: TokenSource;
	readonly #actor: TokenSource | undefined;
	readonly #conversation: TokenConversation;
	readonly #client: TokenClient;
	#last: {readonly subject: string; readonly actor: string | undefined; readonly grant: Grant} | undefined;

	constructor(
		@inject(StrategyOptions) given: TokenExchangeOptions,
		@inject(TokenCache) tokens: TokenCache,
		@inject(HttpClient) http: HttpClient,
		@inject(Identities) identities: Identities,
		@inject(Environment) environment: Environment,
		@inject(Notices) notices: Notices,
		@inject(Strategies) strategies: Strategies,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		const options = {...given, endpointInRealm};
		const services = {environment, strategies, notices, rule};
		const {subjectToken, actorToken} = options;
		this.#subject = tokenSource(subjectToken, 'subjectToken', services);
		this.#actor = actorToken === undefined ? undefined : tokenSource(actorToken, 'actorToken', services);
		this.#options = options;
		const grants: Grants = {
			for: async (request, fresh) =>
				this.#grantFor(await this.#subject.read(request, fresh), await this.#actor?.read(request, fresh)),
			known: async () => {
				const [subject, actor] = [await this.#subject.known(), await this.#actor?.known()];
				const isKnown = subject !== undefined && (this.#actor === undefined || actor !== undefined);
				return isKnown ? this.#grantFor(subject, actor) : undefined;
			},
		};
		this.#client = new TokenClient(options, {http, identities, environment, notices, rule});
		this.#conversation = new TokenConversation({
			strategy: 'sso-token-exchange',
			options,
			tokens,
			client: this.#client,
			tenant: rule.tenant,
			grants,
		});
	}

	dispose(): void {
		this.#client.dispose();
	}

	authenticate(request: AuthRequest): Conversation {
		return this.#conversation.authenticate(request);
	}

	async status(settings?: {verify?: boolean}): Promise<CredentialStatus> {
		for (const source of [this.#subject, this.#actor]) {
			const status = await source?.strategy?.status?.(settings);
			if (status?.available === false) return status;
		}
		return this.#conversation.status(settings);
	}

	examine(url: URL): Promise<Examination> {
		return this.#conversation.examine(url);
	}

	async forget(): Promise<void> {
		await this.#conversation.forget();
		await this.#subject.strategy?.forget?.();
		await this.#actor?.strategy?.forget?.();
	}

	/** The same object for the same tokens, so that nothing is hashed for them again. */
	#grantFor(subject: string, actor: string | undefined): Grant {
		if (this.#last?.subject === subject && this.#last.actor === actor) return this.#last.grant;
		const {subjectTokenType, actorTokenType, requestedTokenType} = this.#options;
		const own = {
			subject_token: subject,
			subject_token_type: subjectTokenType,
			...(actor !== undefined && {actor_token: actor, actor_token_type: actorTokenType}),
			...(requestedTokenType !== undefined && {requested_token_type: requestedTokenType}),
		};
		const parameters = commonParameters(this.#options);
		for (const [name, value] of Object.entries(own)) parameters.set(name, value);
		// Another subject is another token, however alike the rest is.
		const doubts = ({clientId}: {clientId: string}) => doubtsAboutSubject(subject, clientId);
		const grant = {type: tokenExchangeGrant, parameters, distinguishing: own, doubts};
		this.#last = {subject, actor, grant};
		return grant;
	}
}

/** Keycloak gives whoever exchanges a token a new one only where the token is meant for that client. */
function doubtsAboutSubject(subject: string, clientId: string): Doubt[] {
	const {aud, azp} = claimsOf(subject) ?? {};
	const audiences = [aud ?? []].flat().filter(name => typeof name === 'string');
	if (audiences.length === 0 || audiences.includes(clientId) || azp === clientId) return [];
	const list = audiences.slice(0, 3).map(name => printable(name, []).slice(0, 100));
	return [
		{
			code: 'subject-token-not-for-client',
			what: `The subject token is for ${list.join(' and ')}, not for the client ${clientId}, which asks: have it issued with that client among its audiences`,
		},
	];
}
