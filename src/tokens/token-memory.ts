/** Tokens in memory: which one there is for a key, until when it may be used, and from when it should be renewed. */
import type {Token} from '../services.ts';

/** A token is not used in its last moments: it could end on its way to the server. */
const longestLeeway = 10_000;
/** How long a token is kept whose issuer does not say when it ends. A server that refuses it ends it sooner. */
const assumedLifetime = 3_600_000;
/** A token that its issuer hands out again is not asked for again before this. */
const shortestUse = 1000;

/** A token in memory. `ready` is made once, so that serving it allocates nothing. */
export interface RememberedToken {
	readonly token: Token;
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
	#sweepAbove = 1000;

	/** The entry for the key, also one that has ended. */
	get(key: string): RememberedToken | undefined {
		return this.#entries.get(key);
	}

	/** Keep a token that was issued just now, and learn the issuer's clock from it. */
	rememberIssued(key: string, token: Token): RememberedToken {
		const {issuedAt} = token;
		if (issuedAt !== undefined) this.#skews.set(key, issuedAt - Date.now());
		return this.remember(key, token);
	}

	/** Keep a token. */
	remember(key: string, token: Token): RememberedToken {
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

	/** How many milliseconds a token has left, by its issuer's clock. */
	remaining(key: string, token: Token): number {
		if (token.expiresAt === undefined) return assumedLifetime;
		return token.expiresAt - (Date.now() + (this.#skews.get(key) ?? 0));
	}

	delete(key: string): void {
		this.#entries.delete(key);
	}

	clear(): void {
		this.#entries.clear();
	}

	/** Forget tokens that have ended; without this, keys that are asked for once would stay for ever. */
	#sweep(now: number): void {
		for (const [key, {usableUntil}] of this.#entries) {
			if (usableUntil > now) continue;
			this.#entries.delete(key);
			this.#skews.delete(key);
		}
		this.#sweepAbove = Math.max(1000, this.#entries.size * 2);
	}
}

function renewalShare(): number {
	return 0.75 + Math.random() * 0.1;
}
