/** A strategy that fetches tokens: it uses every service that most strategies need. */
// #region strategy
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	CredentialUnavailableError,
	Environment,
	HttpClient,
	inject,
	RuleInfo,
	StrategyOptions,
	type Token,
	TokenCache,
	TokenRequestError,
	tokenKey,
} from 'gatepass';
import {z} from 'zod';

const sessionOptions = z.strictObject({login: z.url(), user: z.string().min(1)});
const answerSchema = z.object({token: z.string().min(1), validFor: z.number().positive()});

@authStrategy({name: 'session-token', options: sessionOptions, endpoints: ({login}) => [login]})
export class SessionTokenStrategy implements AuthStrategy {
	constructor(
		@inject(StrategyOptions) private readonly options: z.output<typeof sessionOptions>,
		@inject(TokenCache) private readonly tokens: TokenCache,
		@inject(HttpClient) private readonly http: HttpClient,
		@inject(Environment) private readonly environment: Environment,
		@inject(RuleInfo) private readonly rule: RuleInfo,
	) {}

	async *authenticate(request: AuthRequest): Conversation {
		const key = this.#key(request.tenant);
		// `request.fresh` passes the cache over.
		const token = await this.tokens.get(key, this.#logIn, request);
		request.headers.set('authorization', `Bearer ${token.value}`);
		const response = yield;
		if (response.status !== 401) return;
		// The session has ended on the server. Drop the token, and try once with a new one.
		await this.tokens.invalidate(key, token);
		if (!request.replayable) return;
		const renewed = await this.tokens.get(key, this.#logIn);
		request.headers.set('authorization', `Bearer ${renewed.value}`);
		yield;
	}

	async status(): Promise<CredentialStatus> {
		const token = await this.tokens.peek(this.#key(this.rule.tenant));
		if (token?.expiresAt === undefined) return {available: true, detail: 'no session yet'};
		return {available: true, detail: `session of ${this.options.user}`, expiresAt: token.expiresAt};
	}

	async forget(): Promise<void> {
		await this.tokens.delete(this.#key(this.rule.tenant));
	}

	/** Everything that makes a token different. */
	#key(tenant: string | undefined): string {
		return tokenKey({strategy: 'session-token', login: this.options.login, user: this.options.user, tenant});
	}

	readonly #logIn = async (signal: AbortSignal): Promise<Token> => {
		const password = this.environment.SESSION_PASSWORD;
		if (!password) {
			throw new CredentialUnavailableError(
				`The rule for ${this.rule.match} (${this.rule.source}) needs the variable SESSION_PASSWORD. Set it`,
			);
		}
		const response = await this.http.fetch(this.options.login, {
			method: 'POST',
			headers: {'content-type': 'application/json'},
			body: JSON.stringify({user: this.options.user, password}),
			signal,
		});
		if (!response.ok) {
			throw new TokenRequestError(
				`${this.options.login} refused the user ${this.options.user}. Check SESSION_PASSWORD`,
				{status: response.status},
			);
		}
		const {token, validFor} = answerSchema.parse(await response.json());
		// The server counts in seconds; gatepass in milliseconds since 1970.
		return {value: token, type: 'Bearer', expiresAt: Date.now() + validFor * 1000};
	};
}
// #endregion
