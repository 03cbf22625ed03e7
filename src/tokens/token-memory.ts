/**
 * Tokens in memory: which one there is for a key, until when it may be used, from when it should be renewed, and which
 * one a server has refused.
 */
import {createHash} from 'node:crypto';
import {StrategyError} from '../errors.ts';
import type {Token} from '../strategy/services.ts';
import {ExpiringMap, type Kept} from './expiring-map.ts';
import {steadyNow} from './steady-clock.ts';
import type {StoredToken} from './stored-token.ts';

/** A token is not used in its last moments: it could end on its way to the server. */
const longestLeeway = 10_000;
/** How long a token is kept whose issuer does not say when it ends. A server that refuses it ends it sooner. */
const assumedLifetime = 3_600_000;
/** A token that its issuer hands out again is not asked for again before this. */
const shortestUse = 1000;
/** So many tokens are kept, and so much is known about the keys of others. */
const mostTokens = 100_000;
const mostNotes = 10_000;
/** A token that was issued so far in the future was not: a clock has been set meanwhile. */
const largestSlip = 60_000;
/** So many tokens in a row that a server refuses are replaced at once; after that, it takes longer each time. */
const replacedAtOnce = 2;
const shortestBrake = 1000;
const longestBrake = 60_000;

/** A token in memory. `ready` is made once, so that serving it allocates nothing. */
export interface RememberedToken {
	readonly token: StoredToken;
	readonly ready: Promise<Token>;
	/** By the steady clock, as is `renewAfter`. */
	readonly usableUntil: number;
	renewAfter: number;
	/** How often its renewal has failed. */
	failures: number;
	/** When it was last held against the steady clock, by the machine's, and for how long that is good: milliseconds. */
	lookedAt: number;
	sureFor: number;
}

/** What a server did with the tokens of a key. */
interface Rejections {
	/** The hash of the last one: a store may still have it, or get it from elsewhere. */
	readonly last: string | undefined;
	/** How many were dropped in a row, and when the last one was, by the steady clock. */
	readonly inARow: number;
	readonly droppedAt: number;
}

export class TokenMemory {
	readonly #entries = new ExpiringMap<RememberedToken>(mostTokens);
	/** Milliseconds that an issuer's clock is ahead of this machine's, by key, where it was told. */
	readonly #skews = new ExpiringMap<number>(mostNotes);
	readonly #rejections = new ExpiringMap<Rejections>(mostNotes);

	/** All entries, also those that have expired a moment ago. */
	get entries(): ReadonlyMap<string, Kept<RememberedToken>> {
		return this.#entries.entries;
	}

	/** The entry for the key, also one that has expired a moment ago. */
	get(key: string): RememberedToken | undefined {
		return this.#entries.get(key);
	}

	/**
	 * Keep a token that was asked for at `askedAt` of the steady clock, and learn the issuer's clock from it. The issuer
	 * may have looked at its clock at any time since then; taken for the first moment, the token is not used for too long.
	 */
	rememberIssued(key: string, token: Token, askedAt: number): RememberedToken {
		const {issuedAt} = token;
		// An issuer that hands out a token again stands by it.
		const rejections = this.#rejections.get(key);
		if (rejections !== undefined && this.isRefused(key, token))
			this.#note(key, {...rejections, last: undefined}, 0);
		if (issuedAt === undefined) return this.remember(key, token);
		const skew = issuedAt - (Date.now() - (steadyNow() - askedAt));
		this.#skews.set(key, skew, Number.POSITIVE_INFINITY);
		return this.remember(key, {...token, skew});
	}

	/** Keep a token. */
	remember(key: string, token: StoredToken): RememberedToken {
		const now = steadyNow();
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
			lookedAt: 0,
			sureFor: 0,
		};
		this.#entries.set(key, entry, entry.usableUntil);
		return entry;
	}

	/**
	 * How many milliseconds a token has left, by its issuer's clock: as this machine has learnt it, or else as that one
	 * did which fetched the token.
	 */
	remaining(key: string, {expiresAt, issuedAt, skew = 0}: StoredToken): number {
		if (expiresAt === undefined) return assumedLifetime;
		const issuerNow = Date.now() + (this.#skews.get(key) ?? skew);
		if (issuedAt !== undefined && issuedAt > issuerNow + largestSlip) return 0;
		return expiresAt - issuerNow;
	}

	/**
	 * Whether the token that a server refuses is better kept than replaced, for a while: it refused the ones before, too,
	 * and will most likely refuse the next.
	 */
	isBraked(key: string, {value}: Token): boolean {
		if (this.#entries.get(key)?.token.value !== value) return false;
		const {inARow = 0, droppedAt = 0} = this.#rejections.get(key) ?? {};
		if (inARow < replacedAtOnce) return false;
		const pause = Math.min(longestBrake, shortestBrake * 2 ** (inARow - replacedAtOnce));
		return steadyNow() < droppedAt + pause;
	}

	/** Take note that a server refused a token. Returns whether it was in use until now. */
	refuse(key: string, token: Token): boolean {
		const now = steadyNow();
		const {inARow = 0, droppedAt = now} = this.#rejections.get(key) ?? {};
		const last = digestOf(token.value);
		const remaining = this.remaining(key, token);
		const isInUse = this.#entries.get(key)?.token.value === token.value && this.#entries.delete(key);
		if (isInUse) {
			// One that was good for that long was no part of a row.
			const isNext = now < droppedAt + 2 * longestBrake;
			this.#note(key, {last, inARow: isNext ? inARow + 1 : 1, droppedAt: now}, remaining);
		} else {
			this.#note(key, {last, inARow, droppedAt}, remaining);
		}
		return isInUse;
	}

	isRefused(key: string, {value}: Token): boolean {
		const last = this.#rejections.get(key)?.last;
		return last !== undefined && last === digestOf(value);
	}

	delete(key: string): void {
		this.#entries.delete(key);
	}

	clear(): void {
		this.#entries.clear();
		this.#skews.clear();
		this.#rejections.clear();
	}

	#note(key: string, rejections: Rejections, remaining: number): void {
		this.#rejections.set(key, rejections, steadyNow() + Math.max(remaining, 2 * longestBrake));
	}
}

/** What is a token: a store may hold anything, and a strategy may issue anything. */
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

function isTimeOrAbsent(value: unknown): boolean {
	return value === undefined || (typeof value === 'number' && Number.isFinite(value));
}

/** The token itself would take much of the memory. */
function digestOf(value: string): string {
	return createHash('sha256').update(value).digest('base64url');
}

/**
 * After which part of its life a token is renewed. Early enough that an issuer may be down for a minute before a token
 * of five minutes ends.
 */
function renewalShare(): number {
	return 0.65 + Math.random() * 0.1;
}
