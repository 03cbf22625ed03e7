/** `sso-client-credentials`: a bearer token by the client credentials grant (RFC 6749 section 4.4, RFC 6750). */
import type {z} from 'zod';
import {CredentialUnavailableError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	Environment,
	HttpClient,
	inject,
	RuleInfo,
	StrategyOptions,
	TokenCache,
	tokenKey,
} from '../../src/strategy.ts';
import {ssoOptions, tokenEndpointOf} from './options.ts';
import {requestToken, type TokenRequest} from './request-token.ts';

@authStrategy({
	name: 'sso-client-credentials',
	options: ssoOptions,
	endpoints: options => [tokenEndpointOf(options)],
})
export class SsoClientCredentialsStrategy implements AuthStrategy {
	readonly #options: z.output<typeof ssoOptions>;
	readonly #tokens: TokenCache;
	readonly #http: HttpClient;
	readonly #environment: Environment;
	readonly #rule: RuleInfo;
	#prepared: {readonly request: TokenRequest; readonly key: string} | undefined;

	constructor(
		@inject(StrategyOptions) options: z.output<typeof ssoOptions>,
		@inject(TokenCache) tokens: TokenCache,
		@inject(HttpClient) http: HttpClient,
		@inject(Environment) environment: Environment,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		this.#options = options;
		this.#tokens = tokens;
		this.#http = http;
		this.#environment = environment;
		this.#rule = rule;
	}

	async *authenticate(request: AuthRequest): Conversation {
		const {key} = this.#prepare();
		const token = await this.#tokens.get(key, this.#issue, request);
		request.headers.set('authorization', `Bearer ${token.value}`);
		const response = yield;
		if (response.status !== 401) return;
		// The server knows better than the clock: the token may be revoked. Once more with a new one, no more than once.
		await this.#tokens.invalidate(key, token);
		if (!request.replayable) return;
		const renewed = await this.#tokens.get(key, this.#issue);
		request.headers.set('authorization', `Bearer ${renewed.value}`);
		yield;
	}

	async status(): Promise<CredentialStatus> {
		const {request, key} = this.#prepare();
		const token = await this.#tokens.peek(key);
		const source = `for client ${request.clientId} from ${new URL(request.endpoint).host}`;
		if (token === undefined)
			return {available: true, detail: `no token yet; one is fetched ${source} at the next request`};
		return {
			available: true,
			detail: `token ${source}`,
			...(token.expiresAt !== undefined && {expiresAt: token.expiresAt}),
		};
	}

	async forget(): Promise<void> {
		await this.#tokens.delete(this.#prepare().key);
	}

	// An arrow function, so that a warm token costs no closure.
	readonly #issue = (signal: AbortSignal) => requestToken(this.#prepare().request, this.#http, signal);

	#prepare(): {readonly request: TokenRequest; readonly key: string} {
		this.#prepared ??= this.#makeRequest();
		return this.#prepared;
	}

	#makeRequest(): {readonly request: TokenRequest; readonly key: string} {
		const {audience, scope} = this.#options;
		const clientId = this.#options.clientId ?? this.#variable('SSO_CLIENT_ID', 'clientId');
		const clientSecret = this.#options.clientSecret ?? this.#variable('SSO_CLIENT_SECRET', 'clientSecret');
		const endpoint = tokenEndpointOf(this.#options);
		// CERN's endpoint documents the form, any other must support the header (RFC 6749 section 2.3.1).
		const documented =
			this.#options.tokenEndpoint === undefined ? 'client_secret_post' : 'client_secret_basic';
		const clientAuthentication = this.#options.clientAuthentication ?? documented;
		const key = tokenKey({strategy: 'sso-client-credentials', endpoint, client: clientId, audience, scope});
		return {
			request: {endpoint, clientId, clientSecret, audience, scope, clientAuthentication, rule: this.#rule},
			key,
		};
	}

	#variable(name: string, option: string): string {
		const value = this.#environment[name];
		if (value) return value;
		const {match, source} = this.#rule;
		throw new CredentialUnavailableError(
			`The rule for ${match} (${source}) has no '${option}', and the variable ${name} is not set. Set one of them`,
		);
	}
}
