/**
 * Tokens in memory: which one there is for a key, until when it may be used, from when it should be renewed, and which
 * one a server has refused.
 */
import type {Token} from '../strategy/services.ts';
import type {StoredToken} from './token-store.ts';

/** A token is not used in its last moments: it could end on its way to the server. */
const longestLeeway = 10_000;
/** How long a token is kept whose issuer does not say when it ends. A server that refuses it ends it sooner. */
const assumedLifetime = 3_600_000;
/** A token that its issuer hands out again is not asked for again before this. */
const shortestUse = 1000;

/** A token in memory. `ready` is made once, so that serving it allocates nothing. */
export interface RememberedToken {
	readonly token: StoredToken;
	readonly ready: Promise<Token>;
	/** Milliseconds since 1970 by this machine's clock, as is `renewAfter`. */
	readonly usableUntil: number;
	renewAfter: number;
	/** How often its renewal has failed. */
	failures: number;
}

export class TokenMemory {
	readonly #entries = new Map<string, RememberedToken>();
	/** Milliseconds that an issuer's clock is ahead of this machine's, by key, where it was told. */
	readonly #skews = new Map<string, number>();
	/** The last token for each key that a server refused: a store may still have it, or get it from elsewhere. */
	readonly #refused = new Map<string, {readonly value: string; readonly until: number}>();
	#sweepAbove = 1000;

	/** The entry for the key, also one that has expired. */
	get(key: string): RememberedToken | undefined {
		return this.#entries.get(key);
	}

	/**
	 * Keep a token that was asked for at `askedAt`, and learn the issuer's clock from it. The issuer may have looked at
	 * its clock at any time since then; taken for the first moment, the token is not used for too long.
	 */
	rememberIssued(key: string, token: Token, askedAt: number): RememberedToken {
		const {issuedAt} = token;
		// An issuer that hands out a token again stands by it.
		if (this.isRefused(key, token)) this.#refused.delete(key);
		if (issuedAt === undefined) return this.remember(key, token);
		const skew = issuedAt - askedAt;
		this.#skews.set(key, skew);
		return this.remember(key, {...token, skew});
	}

	/** Keep a token. */
	remember(key: string, token: StoredToken): RememberedToken {
		const now = Date.now();
		const remaining = this.remaining(key, token);
		const previous = this.#entries.get(key);
		const isSame = previous !== undefined && previous.token.value === token.value;
		// Spread, so that a fleet that got one token from one store does not renew it all at once.
		const share = isSame ? 1 - (1 - renewalShare()) / 2 : renewalShare();
		const leeway = Math.min(longestLeeway, remaining / 10);
		const entry: RememberedToken = {
			token,
			ready: Promise.resolve(token),
			usableUntil: now + Math.min(remaining, Math.max(remaining - leeway, shortestUse)),
			renewAfter: now + Math.max(remaining * share, isSame ? shortestUse : 0),
			failures: 0,
		};
		this.#entries.set(key, entry);
		if (this.#entries.size > this.#sweepAbove) this.#sweep(now);
		return entry;
	}

	/**
	 * How many milliseconds a token has left, by its issuer's clock: as this machine has learnt it, or else as that one
	 * did which fetched the token.
	 */
	remaining(key: string, {expiresAt, skew = 0}: StoredToken): number {
		if (expiresAt === undefined) return assumedLifetime;
		return expiresAt - (Date.now() + (this.#skews.get(key) ?? skew));
	}

	/** Take note that a server refused a token. Returns whether it was in use until now. */
	refuse(key: string, token: Token): boolean {
		this.#refused.set(key, {value: token.value, until: Date.now() + this.remaining(key, token)});
		return this.#entries.get(key)?.token.value === token.value && this.#entries.delete(key);
	}

	isRefused(key: string, {value}: Token): boolean {
		return this.#refused.get(key)?.value === value;
	}

	delete(key: string): void {
		this.#entries.delete(key);
	}

	clear(): void {
		this.#entries.clear();
		this.#refused.clear();
	}

	/** Forget tokens that have expired; without this, keys that are asked for once would stay for ever. */
	#sweep(now: number): void {
		for (const [key, {usableUntil}] of this.#entries) {
			if (usableUntil > now) continue;
			this.#entries.delete(key);
			this.#skews.delete(key);
		}
		for (const [key, {until}] of this.#refused) if (until <= now) this.#refused.delete(key);
		this.#sweepAbove = Math.max(1000, this.#entries.size * 2);
	}
}

/**
 * After which part of its life a token is renewed. Early enough that an issuer may be down for a minute before a token
 * of five minutes ends.
 */
function renewalShare(): number {
	return 0.65 + Math.random() * 0.1;
}
