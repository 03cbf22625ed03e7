/** What the token cache needs of a persistent store. Tokens come and go by key; leases keep issuers apart. */
import type {Token} from '../strategy/services.ts';

/** A token as the store keeps it. */
export interface StoredToken extends Token {
	/**
	 * Milliseconds that the issuer's clock was ahead of the clock of whoever fetched the token; `expiresAt` is by the
	 * issuer's. Absent: not known.
	 */
	readonly skew?: number;
}

/**
 * Keeps tokens where other processes and machines see them too.
 *
 * Any call may reject when the store is down, and may take as long as the store takes: the token cache bounds and
 * survives both. A value that cannot be read (of another version, damaged, sealed with a key that is gone) counts
 * as absent, and is reported by `onGarbage`.
 */
export interface TokenStore {
	get(key: string): Promise<StoredToken | undefined>;
	/** Keep a token for `lifetime` milliseconds. */
	set(key: string, token: StoredToken, lifetime: number): Promise<void>;
	/** Delete the token, and the backoff that is kept for it. */
	delete(key: string): Promise<void>;
	/** Delete only if what is kept is still that token. Where the store can, in one step that nothing comes between. */
	deleteIf(key: string, token: Token): Promise<void>;
	/** Present where several processes may share the store. */
	readonly leases?: Leases | undefined;
	/** Present where others that would ask the same issuer may see the store. */
	readonly backoffs?: Backoffs | undefined;
	/** Present where opening takes longer than a call: loads what is needed and connects, within bounds of its own. */
	open?(): Promise<void>;
	/** Wait for nothing, and let go. */
	close(): Promise<void>;
}

/** What an issuer said that asked to be left alone for a while (`Retry-After`). Holds no secret. */
export interface Backoff {
	/** Milliseconds since 1970. */
	readonly until: number;
	readonly message: string;
	readonly status?: number;
	readonly error?: string;
	readonly errorDescription?: string;
}

/** Backoffs by the key of the token that was asked for, so that nobody else asks before that time. */
export interface Backoffs {
	get(key: string): Promise<Backoff | undefined>;
	/** Keep one for `lifetime` milliseconds. */
	set(key: string, backoff: Backoff, lifetime: number): Promise<void>;
}

/**
 * Locks around the fetching of a token: while one process holds the lease for a key, others wait for its token.
 *
 * A lease ends by itself after its time, so a holder that dies or is stopped keeps nobody waiting for long. A holder
 * that wakes up after its time may issue too: then there are two valid tokens, which does no harm. It is no lock for
 * single reads and writes, and has no fencing.
 */
export interface Leases {
	/** Take the lease for `key` for `duration` milliseconds. `false`: somebody else has it. */
	acquire(key: string, holder: string, duration: number): Promise<boolean>;
	/** Give it back, if `holder` still has it. */
	release(key: string, holder: string): Promise<void>;
}

/** What a keyv adapter can do besides what keyv asks of it. */
export interface StoreCapabilities {
	/** Delete the entry only if it is still this text, in one step that nothing comes between. */
	readonly deleteIfEqual?: (key: string, stored: string) => Promise<unknown>;
	/** Present where several processes may share the store. */
	readonly leases?: Leases;
}
