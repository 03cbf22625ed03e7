/** `wlcg-token`: a bearer token found as WLCG Bearer Token Discovery says (https://doi.org/10.5281/zenodo.3937438). */
import {z} from 'zod';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialAtHand,
	type CredentialStatus,
	Environment,
	inject,
	RuleInfo,
	Strategies,
	StrategyOptions,
} from '../../src/strategy/index.ts';
import {jwtExpiry} from '../bearer/jwt.ts';
import {nestedStrategy} from '../chain/nested-strategy.ts';
import {resume} from '../chain/resume.ts';
import {type FoundToken, NoValidToken, TokenFinder} from './find-token.ts';

/** A token that ends so soon, in milliseconds, is renewed where it can be. */
const leeway = 30_000;

/** The options of `wlcg-token`. Without any, the token is searched for. */
export const wlcgTokenOptions = z.strictObject({
	file: z.string().min(1).optional().describe('The file that holds the token. Default: discovery'),
	renewal: nestedStrategy
		.extend({strategy: z.enum(['oidc-agent', 'command']).describe('Who gives a new token')})
		.optional()
		.describe('Where a token comes from when there is none that is still valid'),
});

/**
 * Shows a bearer token (RFC 6750) that somebody else keeps on this machine. After a 401 the place is looked at once
 * more, and a newer token sent. Where there is none, or it has expired, `renewal` gives one, and without that it fails
 * with a `CredentialUnavailableError`.
 */
@authStrategy<typeof wlcgTokenOptions>({
	name: 'wlcg-token',
	options: wlcgTokenOptions,
	nested: ({renewal}) => (renewal === undefined ? [] : [['renewal']]),
})
export class WlcgTokenStrategy implements AuthStrategy {
	readonly #finder: TokenFinder;
	readonly #renewal: {readonly name: string; readonly strategy: AuthStrategy} | undefined;
	/** What was made last of a token in the variable. */
	#atHand:
		| {readonly token: string; readonly usableUntil: number; readonly credential: CredentialAtHand}
		| undefined;

	constructor(
		@inject(StrategyOptions) {file, renewal}: z.output<typeof wlcgTokenOptions>,
		@inject(Environment) environment: Environment,
		@inject(Strategies) strategies: Strategies,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		this.#finder = new TokenFinder(file, environment, rule.folder);
		this.#renewal = renewal && {name: renewal.strategy, strategy: strategies.build(renewal)};
	}

	async *authenticate(request: AuthRequest): Conversation {
		const found = await this.#current();
		const renewal = this.#renewal?.strategy;
		if (!('token' in found)) {
			if (renewal === undefined) throw found;
			yield* renewal.authenticate(request);
			return;
		}
		request.headers.set('authorization', `Bearer ${found.token}`);
		const response = yield;
		if (response.status !== 401 || !request.replayable) return;
		// Whoever renews the file may have done so a moment ago.
		const renewed = await this.#currentOrNone();
		if (renewed !== undefined && renewed.token !== found.token) {
			request.headers.set('authorization', `Bearer ${renewed.token}`);
			yield;
			return;
		}
		if (renewal === undefined) return;
		const conversation = renewal.authenticate(request);
		// With a refusal in hand, that is what the caller should see, not why there is no other token.
		const begun = await conversation.next().catch(() => undefined);
		if (begun !== undefined) yield* resume(conversation, begun);
	}

	/** What is in a file is looked at for each request, so it is not known at once. */
	atHand(): CredentialAtHand | undefined {
		const token = this.#finder.atHand?.token;
		if (token === undefined) return undefined;
		if (this.#atHand?.token !== token) {
			const credential: CredentialAtHand = {header: ['authorization', `Bearer ${token}`]};
			this.#atHand = {token, usableUntil: this.#usableUntil(token), credential};
		}
		return Date.now() < this.#atHand.usableUntil ? this.#atHand.credential : undefined;
	}

	async status(settings?: {verify?: boolean}): Promise<CredentialStatus> {
		const found = await this.#current();
		if ('token' in found) {
			const {token, place} = found;
			const expiresAt = jwtExpiry(token);
			return {
				available: true,
				detail: `bearer token from ${place}`,
				...(expiresAt !== undefined && {expiresAt}),
			};
		}
		const renewed = await this.#renewal?.strategy.status?.(settings);
		if (renewed === undefined) throw found;
		const notes = [found.message, ...(renewed.notes ?? [])];
		return {...renewed, detail: `renewed by ${this.#renewal?.name}: ${renewed.detail}`, notes};
	}

	async forget(): Promise<void> {
		await this.#renewal?.strategy.forget?.();
	}

	async #currentOrNone(): Promise<FoundToken | undefined> {
		try {
			const found = await this.#current();
			return 'token' in found ? found : undefined;
		} catch {
			return undefined;
		}
	}

	/**
	 * The token that is there, or why there is none.
	 *
	 * @throws {CredentialUnavailableError} where something is there that no renewal mends.
	 */
	async #current(): Promise<FoundToken | NoValidToken> {
		let found: FoundToken;
		try {
			found = await this.#finder.find();
		} catch (error) {
			if (error instanceof NoValidToken) return error;
			throw error;
		}
		if (Date.now() < this.#usableUntil(found.token)) return found;
		const ended = new Date(jwtExpiry(found.token) as number).toISOString();
		return new NoValidToken({
			code: 'token-expired',
			what: `The token from ${found.place} expired on ${ended}`,
			hint: "Get a new one, for example with oidc-token or htgettoken, or let 'renewal' do so",
		});
	}

	/** By the clock, in milliseconds. */
	#usableUntil(token: string): number {
		const expiresAt = jwtExpiry(token) ?? Number.POSITIVE_INFINITY;
		return this.#renewal === undefined ? expiresAt : expiresAt - leeway;
	}
}
