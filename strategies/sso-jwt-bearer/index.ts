/** `sso-jwt-bearer`: a token by an assertion (RFC 7523 section 2.1), as service accounts get it. */
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
export class SsoJwtBearerStrategy extends TokenConversation {
	readonly #assertions: Assertions;

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
		const assertions = assertionsOf(given, {environment, notices, rule});
		const grant = grantBy(assertions, commonParameters(options));
		super({
			strategy: 'sso-jwt-bearer',
			options,
			tokens,
			client: new TokenClient(options, {http, identities, environment, notices, rule}),
			tenant: rule.tenant,
			grants: {for: grant, known: grant},
		});
		this.#assertions = assertions;
	}

	override dispose(): void {
		this.#assertions.dispose();
		super.dispose();
	}
}

/** Gives the same object as long as the assertion speaks for the same one, so that nothing is hashed again. */
function grantBy(assertions: Assertions, parameters: URLSearchParams): () => Promise<Grant> {
	let last: {readonly part: AssertionPart; readonly grant: Grant} | undefined;
	return async () => {
		const part = await assertions.part();
		if (last?.part !== part) last = {part, grant: {type: jwtBearerGrant, parameters, ...part}};
		return last.grant;
	};
}
