/**
 * What the token cache keeps in a store, and how it is told from what is none: a store may hold anything, and a strategy
 * may issue anything.
 */
import {StrategyError} from '../errors.ts';
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

export function isToken(value: unknown): value is StoredToken {
	if (typeof value !== 'object' || value === null) return false;
	const {value: text, type, expiresAt, issuedAt, skew} = value as Record<keyof StoredToken, unknown>;
	return (
		typeof text === 'string' &&
		text !== '' &&
		(type === 'Bearer' || type === 'DPoP') &&
		isTimeOrAbsent(expiresAt) &&
		isTimeOrAbsent(issuedAt) &&
		isTimeOrAbsent(skew)
	);
}

/** @throws {StrategyError} where what a strategy issued is no token, or none that could be used. */
export function checkToken(token: Token): Token {
	if (!isToken(token)) {
		throw new StrategyError({
			code: 'token-malformed',
			what: 'What the strategy issued is no token',
			hint: 'It takes {value, type, expiresAt?}, with expiresAt in milliseconds',
		});
	}
	const {expiresAt, issuedAt = Date.now()} = token;
	if (expiresAt !== undefined && expiresAt <= issuedAt) {
		throw new StrategyError({
			code: 'token-expired',
			what: 'The strategy issued a token that has already expired',
			hint: 'Its expiresAt is in milliseconds since 1970; leave it out where the issuer does not say',
		});
	}
	return token;
}

export function isBackoff(value: unknown): value is Backoff {
	if (typeof value !== 'object' || value === null) return false;
	const {until, message} = value as Record<keyof Backoff, unknown>;
	return typeof until === 'number' && typeof message === 'string';
}

function isTimeOrAbsent(value: unknown): boolean {
	return value === undefined || (typeof value === 'number' && Number.isFinite(value));
}
