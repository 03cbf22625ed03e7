/** `wlcg-token`: a bearer token found as WLCG Bearer Token Discovery says (https://doi.org/10.5281/zenodo.3937438). */
import {z} from 'zod';
import {CredentialUnavailableError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	Environment,
	inject,
	RuleInfo,
	StrategyOptions,
} from '../../src/strategy/index.ts';
import {jwtExpiry} from '../bearer/jwt.ts';
import {type FoundToken, TokenFinder} from './find-token.ts';

/** The options of `wlcg-token`. Without any, the token is searched for. */
export const wlcgTokenOptions = z.strictObject({
	file: z.string().min(1).optional().describe('The file that holds the token. Default: discovery'),
});

/**
 * Shows a bearer token (RFC 6750) that somebody else keeps on this machine. After a 401 the place is looked at once
 * more, and a newer token sent. Fails with a `CredentialUnavailableError` where there is none, or it has expired.
 */
@authStrategy({name: 'wlcg-token', options: wlcgTokenOptions})
export class WlcgTokenStrategy implements AuthStrategy {
	readonly #finder: TokenFinder;

	constructor(
		@inject(StrategyOptions) options: z.output<typeof wlcgTokenOptions>,
		@inject(Environment) environment: Environment,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		this.#finder = new TokenFinder(options.file, environment, rule.folder);
	}

	async *authenticate(request: AuthRequest): Conversation {
		const found = this.#current();
		request.headers.set('authorization', `Bearer ${found.token}`);
		const response = yield;
		if (response.status !== 401 || !request.replayable) return;
		// Whoever renews the file may have done so a moment ago.
		const renewed = this.#currentOrNone();
		if (renewed === undefined || renewed.token === found.token) return;
		request.headers.set('authorization', `Bearer ${renewed.token}`);
		yield;
	}

	async status(): Promise<CredentialStatus> {
		const {token, place} = this.#current();
		const expiresAt = jwtExpiry(token);
		return {
			available: true,
			detail: `bearer token from ${place}`,
			...(expiresAt !== undefined && {expiresAt}),
		};
	}

	/** With a refusal in hand, that is what the caller should see, not that the file is just being written. */
	#currentOrNone(): FoundToken | undefined {
		try {
			return this.#current();
		} catch {
			return undefined;
		}
	}

	#current(): FoundToken {
		const found = this.#finder.find();
		const expiresAt = jwtExpiry(found.token);
		if (expiresAt !== undefined && expiresAt <= Date.now()) {
			throw new CredentialUnavailableError({
				code: 'token-expired',
				what: `The token from ${found.place} ended on ${new Date(expiresAt).toISOString()}`,
				hint: 'Get a new one, for example with oidc-token or htgettoken',
			});
		}
		return found;
	}
}
