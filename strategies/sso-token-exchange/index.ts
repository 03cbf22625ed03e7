/** `sso-token-exchange`: a token for a token (RFC 8693), to act as somebody or on somebody's behalf. */
import {
	authStrategy,
	type CredentialStatus,
	Environment,
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
import {commonParameters, TokenConversation} from '../sso/token-conversation.ts';
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
export class SsoTokenExchangeStrategy extends TokenConversation {
	readonly #subject: TokenSource;
	readonly #actor: TokenSource | undefined;

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
		const subject = tokenSource(subjectToken, 'subjectToken', services);
		const actor = actorToken === undefined ? undefined : tokenSource(actorToken, 'actorToken', services);
		const grantFor = grantsBy(options);
		super({
			strategy: 'sso-token-exchange',
			options,
			tokens,
			client: new TokenClient(options, {http, identities, environment, notices, rule}),
			tenant: rule.tenant,
			grants: {
				for: async (request, fresh) =>
					grantFor(await subject.read(request, fresh), await actor?.read(request, fresh)),
				known: async () => {
					const [known, knownActor] = [await subject.known(), await actor?.known()];
					const isKnown = known !== undefined && (actor === undefined || knownActor !== undefined);
					return isKnown ? grantFor(known, knownActor) : undefined;
				},
			},
		});
		this.#subject = subject;
		this.#actor = actor;
	}

	override async status(settings?: {verify?: boolean}): Promise<CredentialStatus> {
		for (const source of [this.#subject, this.#actor]) {
			const status = await source?.strategy?.status?.(settings);
			if (status?.available === false) return status;
		}
		return super.status(settings);
	}

	override async forget(): Promise<void> {
		await super.forget();
		await this.#subject.strategy?.forget?.();
		await this.#actor?.strategy?.forget?.();
	}
}

/** Gives the same object for the same tokens, so that nothing is hashed for them again. */
function grantsBy(options: TokenExchangeOptions): (subject: string, actor: string | undefined) => Grant {
	const {subjectTokenType, actorTokenType, requestedTokenType} = options;
	let last: {readonly subject: string; readonly actor: string | undefined; readonly grant: Grant} | undefined;
	return (subject, actor) => {
		if (last?.subject === subject && last.actor === actor) return last.grant;
		const own = {
			subject_token: subject,
			subject_token_type: subjectTokenType,
			...(actor !== undefined && {actor_token: actor, actor_token_type: actorTokenType}),
			...(requestedTokenType !== undefined && {requested_token_type: requestedTokenType}),
		};
		const parameters = commonParameters(options);
		for (const [name, value] of Object.entries(own)) parameters.set(name, value);
		// Another subject is another token, however alike the rest is.
		const doubts = ({clientId}: {clientId: string}) => doubtsAboutSubject(subject, clientId);
		last = {subject, actor, grant: {type: tokenExchangeGrant, parameters, distinguishing: own, doubts}};
		return last.grant;
	};
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
			what: `The subject token is for ${list.join(' and ')}, not for the client ${clientId}, which asks`,
			hint: 'Have it issued with that client among its audiences',
		},
	];
}
