/**
 * Between the token cache and its storage: no call fails, or keeps anybody waiting for long. What goes wrong is reported,
 * and the storage is left alone for a while. It is used again when it has recovered.
 */
import {GatepassError, TokenCacheError} from '../errors.ts';
import {bareError} from './bare-error.ts';
import {steadyNow} from './steady-clock.ts';
import type {Storage, StorageOpener} from './storage.ts';
import {StorageConnection} from './storage-connection.ts';

/** Milliseconds that a call may take. A store that is slower is of no use: issuing takes about as long. */
const patience = 1000;
const patienceSteps = 10;
/** Milliseconds for which the circuit is open after a failure; doubled with each further one, up to the longest. */
const shortestRest = 500;
const longestRest = 30_000;

type Operation<Result> = (storage: Storage) => Promise<Result>;

export class CircuitBreaker {
	readonly #connection: StorageConnection;
	readonly #report: (error: TokenCacheError) => void;
	readonly #pending = new Set<Promise<unknown>>();
	/** Until then the circuit is open. */
	#restUntil = 0;
	#rest = shortestRest;
	/** What was reported last, if the storage has not worked since. */
	#reported: string | undefined;
	/** Where a fleet starts at once, loading a driver and connecting takes longer than a call may. */
	#firstOpening: Promise<void> | undefined;
	#wasOpened = false;

	/** @param report called with what goes wrong: with the same but once, until the storage has worked again. */
	constructor(opener: StorageOpener, report: (error: TokenCacheError) => void) {
		this.#connection = new StorageConnection(opener);
		this.#report = report;
	}

	/**
	 * What comes of an operation; `undefined` where the storage fails, or is left alone.
	 *
	 * @param doing begins the message of a failure.
	 * @param secrets texts that must not show up in it.
	 */
	async attempt<Result>(
		doing: string,
		operation: Operation<Result>,
		secrets: readonly string[] = [],
	): Promise<Result | undefined> {
		if (steadyNow() < this.#restUntil) return undefined;
		try {
			const result = await this.#tracked(this.#whenOpen(operation));
			this.#rest = shortestRest;
			this.#reported = undefined;
			return result;
		} catch (error) {
			this.#fail(doing, bareError(error, secrets));
			return undefined;
		}
	}

	/**
	 * The same for whoever deletes a token and wants it gone: the storage is asked even while it is left alone.
	 *
	 * @throws {TokenCacheError} where the token may still be there.
	 */
	async insistOnDeleting(operation: Operation<unknown>): Promise<void> {
		try {
			await this.#tracked(this.#whenOpen(operation));
		} catch (error) {
			const cause = bareError(error);
			const reason = reasonOf(cause) ?? "Try again when the store answers; see 'gatepass doctor'";
			throw new TokenCacheError(
				{
					code: 'token-not-forgotten',
					what: 'Deleting from the token store failed, so the token may still be there',
					hint: reason,
				},
				{cause},
			);
		}
	}

	/** Do what does no harm where it fails, unless the storage is left alone. */
	async tryTo(operation: () => Promise<unknown>): Promise<void> {
		if (steadyNow() < this.#restUntil) return;
		await this.#tracked(withinPatience(operation)).catch(() => {});
	}

	/** Wait for what is under way, but not for long, and let go of the storage. */
	async close(): Promise<void> {
		await withinPatience(() => Promise.allSettled(this.#pending)).catch(() => {});
		await this.#connection.close();
	}

	#fail(doing: string, cause: Error): void {
		const now = steadyNow();
		// Those that were under way together fail together, and count once.
		if (now >= this.#restUntil) {
			this.#restUntil = now + this.#rest;
			this.#rest = Math.min(longestRest, this.#rest * 2);
		}
		const what = `${cause.name}: ${cause.message}`;
		if (this.#reported === what) return;
		this.#reported = what;
		const reason = reasonOf(cause) ?? "Run 'gatepass doctor'";
		this.#report(
			new TokenCacheError(
				{
					code: 'token-store-failed',
					what: `${doing} the token store failed; requests go on from memory`,
					hint: reason,
				},
				{cause},
			),
		);
	}

	/** Known to `close` as long as it is under way. */
	async #tracked<Result>(call: Promise<Result>): Promise<Result> {
		this.#pending.add(call);
		try {
			return await call;
		} finally {
			this.#pending.delete(call);
		}
	}

	/** Only the first opening is waited for apart: later ones are part of a call, as the storage was there before. */
	async #whenOpen<Result>(operation: Operation<Result>): Promise<Result> {
		if (!this.#wasOpened) {
			this.#firstOpening ??= this.#connection.open().finally(() => {
				this.#wasOpened = true;
			});
			await this.#firstOpening;
		}
		return withinPatience(() => this.#connection.use(operation));
	}
}

/** What gatepass itself says is fit to be shown; what a library says may hold a URL with its password. */
function reasonOf(cause: Error): string | undefined {
	return cause instanceof GatepassError ? cause.message : undefined;
}

/**
 * Counted in steps: for as long as this process itself is held up, say by a thousand calls at once, only one of them
 * passes. An answer that came meanwhile is read between two steps.
 */
async function withinPatience<Result>(operation: () => Promise<Result>): Promise<Result> {
	let timer: NodeJS.Timeout | undefined;
	const timeout = new Promise<never>((_, reject) => {
		const giveUp = (): void =>
			reject(
				new TokenCacheError({
					code: 'token-store-failed',
					what: `It did not answer within ${patience} ms`,
					hint: 'Look whether its server is overloaded or out of reach',
				}),
			);
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
