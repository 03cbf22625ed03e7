/** What the token cache keeps in a store. */
import type {Token} from '../strategy/services.ts';

/** A token as the store keeps it. */
export interface StoredToken extends Token {
	/**
	 * Milliseconds that the issuer's clock was ahead of the clock of whoever fetched the token; `expiresAt` is by the
	 * issuer's. Absent: not known.
	 */
	readonly skew?: number;
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

export function isBackoff(value: unknown): value is Backoff {
	if (typeof value !== 'object' || value === null) return false;
	const {until, message} = value as Record<keyof Backoff, unknown>;
	return typeof until === 'number' && typeof message === 'string';
}
