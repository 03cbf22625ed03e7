/**
 * The storage behind the token cache: opened at its first use, so that importing gatepass, and requests that need no
 * token, do without it. One that hangs is let go and opened again, since a connection whose other end is gone without a
 * word would otherwise stay in use; and so is one that turns out to lead to a server which may only be read, as the former
 * primary of a cluster does.
 */
import {TokenCacheError} from '../errors.ts';
import type {Storage, StorageOpener} from './storage.ts';

interface Opening {
	readonly storage: Promise<Storage>;
	readonly abandon: AbortController;
}

export class StorageConnection {
	readonly #opener: StorageOpener;
	readonly #patience: number;
	#loaded: Promise<unknown> | undefined;
	#opening: Opening | undefined;
	#isClosed = false;

	/** @param patience milliseconds that a call may take, with the opening, before the storage is let go. */
	constructor(opener: StorageOpener, patience = 5000) {
		this.#opener = opener;
		this.#patience = patience;
	}

	open(): Promise<void> {
		return this.use(async () => {});
	}

	async use<Result>(operation: (storage: Storage) => Promise<Result>): Promise<Result> {
		// What it fails with, `open` fails with, too.
		this.#loaded ??= this.#opener.load?.().catch(() => {}) ?? Promise.resolve();
		await this.#loaded;
		if (this.#isClosed)
			throw new TokenCacheError({
				code: 'closed',
				what: 'The token store is closed',
				hint: 'Make requests before close()',
			});
		this.#opening ??= this.#begin();
		const opening = this.#opening;
		const {signal} = opening.abandon;
		const {promise: abandoned, reject} = Promise.withResolvers<never>();
		const fail = (): void => reject(signal.reason);
		signal.addEventListener('abort', fail, {once: true});
		const timer = setTimeout(() => {
			const reason = {
				code: 'token-store-failed',
				what: `The token store did not answer within ${this.#patience} ms`,
				hint: 'Look whether its server is overloaded or out of reach',
			} as const;
			this.#letGo(opening, new TokenCacheError(reason));
		}, this.#patience);
		try {
			return await Promise.race([opening.storage.then(operation), abandoned]);
		} catch (error) {
			if (mayOnlyBeRead(error)) this.#letGo(opening, error);
			throw error;
		} finally {
			clearTimeout(timer);
			signal.removeEventListener('abort', fail);
		}
	}

	/** Wait for nothing, and let go. */
	async close(): Promise<void> {
		this.#isClosed = true;
		if (this.#opening !== undefined)
			this.#letGo(
				this.#opening,
				new TokenCacheError({code: 'closed', what: 'The token store is closed', hint: ''}),
			);
	}

	#begin(): Opening {
		const abandon = new AbortController();
		const opening: Opening = {storage: this.#opener.open(abandon.signal), abandon};
		// What it failed with goes to the calls that wait for it.
		opening.storage.catch(error => this.#letGo(opening, error));
		return opening;
	}

	/** All calls that are under way end with the reason; the next call opens the storage again. */
	#letGo(opening: Opening, reason: unknown): void {
		if (this.#opening === opening) this.#opening = undefined;
		opening.abandon.abort(reason);
		opening.storage.then(storage => storage.disconnect?.()).catch(() => {});
	}
}

/** Redis says READONLY or MASTERDOWN, within more words where a script was refused; PostgreSQL has a code, SQLSTATE 25006. */
function mayOnlyBeRead(error: unknown): boolean {
	const {message, code} = Object(error) as {message?: unknown; code?: unknown};
	return code === '25006' || /\b(?:READONLY|MASTERDOWN)\b/.test(String(message));
}
