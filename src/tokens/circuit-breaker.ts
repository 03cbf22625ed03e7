/**
 * A token store that never fails and never keeps anybody waiting for long: what goes wrong is reported, and the
 * store is left alone for a while. It recovers by itself when the store comes back.
 */
import {TokenCacheError} from '../errors.ts';
import type {Token} from '../strategy/services.ts';
import {bareError} from './bare-error.ts';
import {steadyNow} from './steady-clock.ts';
import type {Backoff, StoredToken, TokenStore} from './token-store.ts';

/** Milliseconds that a call may take. A store that is slower is of no use: issuing takes about as long. */
const patience = 1000;
const patienceSteps = 10;
/** Milliseconds that a failed store is left alone; doubled with each further failure, up to the longest. */
const shortestRest = 500;
const longestRest = 30_000;

export class CircuitBreakerStore {
	readonly #store: TokenStore;
	readonly #report: (error: TokenCacheError) => void;
	readonly #pending = new Set<Promise<unknown>>();
	#restUntil = 0;
	#rest = shortestRest;
	/** Where a fleet starts at once, loading a driver and connecting takes longer than a call may. */
	#firstOpening: Promise<void> | undefined;

	constructor(store: TokenStore, report: (error: TokenCacheError) => void) {
		this.#store = store;
		this.#report = report;
	}

	/** Whether several processes may be fetching for this store. */
	get hasLeases(): boolean {
		return this.#store.leases !== undefined && !this.#isResting();
	}

	get(key: string): Promise<StoredToken | undefined> {
		return this.#call('reading from', undefined, () => this.#store.get(key));
	}

	set(key: string, token: StoredToken, lifetime: number): Promise<void> {
		return this.#call('writing to', undefined, () => this.#store.set(key, token, lifetime), [token.value]);
	}

	/**
	 * Here a failure is told, and the store is asked even while it rests: whoever deletes a token wants it gone.
	 *
	 * @throws {TokenCacheError} where the token may still be there.
	 */
	async delete(key: string): Promise<void> {
		try {
			await this.#bounded(() => this.#store.delete(key));
		} catch (error) {
			throw new TokenCacheError(
				{
					code: 'token-not-forgotten',
					what: 'Deleting from the token store failed, so the token may still be there',
					hint: "Try again when the store answers; see 'gatepass doctor'",
				},
				{cause: bareError(error)},
			);
		}
	}

	deleteIf(key: string, token: Token): Promise<void> {
		return this.#call('writing to', undefined, () => this.#store.deleteIf(key, token), [token.value]);
	}

	/** `undefined`: the store could not say. */
	acquireLease(key: string, holder: string, duration: number): Promise<boolean | undefined> {
		const {leases} = this.#store;
		return this.#call('taking a lease in', undefined, async () => leases?.acquire(key, holder, duration));
	}

	releaseLease(key: string, holder: string): Promise<void> {
		const {leases} = this.#store;
		return this.#call('giving back a lease in', undefined, async () => leases?.release(key, holder));
	}

	getBackoff(key: string): Promise<Backoff | undefined> {
		return this.#call('reading from', undefined, async () => this.#store.backoffs?.get(key));
	}

	setBackoff(key: string, backoff: Backoff, lifetime: number): Promise<void> {
		return this.#call('writing to', undefined, async () => this.#store.backoffs?.set(key, backoff, lifetime));
	}

	/** Wait for what is under way, but not for long, and let go of the store. */
	async close(): Promise<void> {
		await withinPatience(() => Promise.allSettled(this.#pending)).catch(() => {});
		this.#restUntil = 0;
		// Not opened to be closed.
		this.#firstOpening = Promise.resolve();
		await this.#call('closing', undefined, () => this.#store.close());
	}

	#isResting(): boolean {
		return steadyNow() < this.#restUntil;
	}

	async #call<Result>(
		doing: string,
		otherwise: Result,
		operation: () => Promise<Result>,
		secrets: readonly string[] = [],
	): Promise<Result> {
		if (this.#isResting()) return otherwise;
		try {
			const result = await this.#bounded(operation);
			this.#rest = shortestRest;
			return result;
		} catch (error) {
			this.#restUntil = steadyNow() + this.#rest;
			this.#rest = Math.min(longestRest, this.#rest * 2);
			this.#report(
				new TokenCacheError(
					{
						code: 'token-store-failed',
						what: `${doing.charAt(0).toUpperCase()}${doing.slice(1)} the token store failed; requests go on from memory`,
						hint: `Run 'gatepass doctor'`,
					},
					{cause: bareError(error, secrets)},
				),
			);
			return otherwise;
		}
	}

	/** Within patience, and known to `close` as long as it is under way. */
	async #bounded<Result>(operation: () => Promise<Result>): Promise<Result> {
		const bounded = this.#whenOpen(operation);
		this.#pending.add(bounded);
		try {
			return await bounded;
		} finally {
			this.#pending.delete(bounded);
		}
	}

	/** Only the first opening is waited for apart: later ones are part of a call, as the store was there before. */
	async #whenOpen<Result>(operation: () => Promise<Result>): Promise<Result> {
		this.#firstOpening ??= this.#store.open?.().catch(() => {}) ?? Promise.resolve();
		await this.#firstOpening;
		return withinPatience(operation);
	}
}

/**
 * Counted in steps: for as long as this process itself is held up, say by a thousand calls at once, only one of them
 * passes. An answer that came meanwhile is read between two steps.
 */
async function withinPatience<Result>(operation: () => Promise<Result>): Promise<Result> {
	let timer: NodeJS.Timeout | undefined;
	const timeout = new Promise<never>((_, reject) => {
		const giveUp = (): void => reject(new Error(`The store did not answer within ${patience} ms`));
		const wait = (stepsLeft: number): void => {
			const next = stepsLeft === 0 ? giveUp : () => wait(stepsLeft - 1);
			timer = setTimeout(next, patience / patienceSteps);
		};
		wait(patienceSteps - 1);
	});
	try {
		return await Promise.race([operation(), timeout]);
	} finally {
		clearTimeout(timer);
	}
}
