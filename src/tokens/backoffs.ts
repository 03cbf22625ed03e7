/**
 * Issuers that asked to be left alone for a while (`Retry-After`), by the key of the token that was asked for: nobody
 * asks again before that time, here or in another process that shares the store.
 */
import {TokenRequestError} from '../errors.ts';
import {whatOf} from '../reason.ts';
import {ExpiringMap} from './expiring-map.ts';
import {steadyNow} from './steady-clock.ts';
import type {Backoff} from './stored-token.ts';
import type {TokenStore} from './token-store.ts';

/** Milliseconds for which an issuer is heeded, whatever it says: a slip of its own must not keep a service down for days. */
const longestBackoff = 600_000;
const mostBackoffs = 10_000;

interface RememberedBackoff {
	readonly backoff: Backoff;
	/** By the steady clock. */
	readonly until: number;
}

export class IssuerBackoffs {
	readonly #store: TokenStore | undefined;
	readonly #known = new ExpiringMap<RememberedBackoff>(mostBackoffs);

	/** @param store absent: they are known to this process only. */
	constructor(store: TokenStore | undefined) {
		this.#store = store;
	}

	/** @throws {TokenRequestError} what the issuer said, where its time is not over yet. */
	async heed(key: string): Promise<void> {
		const {backoff, until} = this.#known.get(key) ?? (await this.#readStore(key)) ?? {};
		if (backoff === undefined || until === undefined) return;
		const retryAfter = until - steadyNow();
		if (retryAfter <= 0) return;
		const {until: _, message, ...details} = backoff;
		throw new TokenRequestError(
			{
				code: 'token-request-delayed',
				what: `${message} (it asked to be left alone, for another ${Math.ceil(retryAfter / 1000)} s, so it was not asked again)`,
				hint: "Wait, or run 'gatepass forget', which ends that",
			},
			{...details, retryAfter},
		);
	}

	/** Take note of a failed request for a token; of one without `Retry-After`, nothing is kept. */
	async note(key: string, failure: TokenRequestError): Promise<void> {
		const {retryAfter, status, error, errorDescription} = failure;
		if (!retryAfter) return;
		const bounded = boundedBackoff(retryAfter);
		const backoff: Backoff = {
			until: Date.now() + bounded,
			// What to do is another by now.
			message: whatOf(failure),
			...(status !== undefined && {status}),
			...(error !== undefined && {error}),
			...(errorDescription !== undefined && {errorDescription}),
		};
		this.#remember(key, backoff, bounded);
		await this.#store?.setBackoff(key, backoff, bounded);
	}

	/** Forget it, in memory: the store forgets it together with the token. */
	delete(key: string): void {
		this.#known.delete(key);
	}

	clear(): void {
		this.#known.clear();
	}

	async #readStore(key: string): Promise<RememberedBackoff | undefined> {
		const backoff = await this.#store?.getBackoff(key);
		return backoff && this.#remember(key, backoff, boundedBackoff(backoff.until - Date.now()));
	}

	#remember(key: string, backoff: Backoff, duration: number): RememberedBackoff {
		const remembered = {backoff, until: steadyNow() + duration};
		this.#known.set(key, remembered, remembered.until);
		return remembered;
	}
}

/** For how long an issuer is left alone that asks for so many milliseconds. */
export function boundedBackoff(retryAfter: number): number {
	return Math.min(retryAfter, longestBackoff);
}
