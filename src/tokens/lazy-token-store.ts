/**
 * A token store that is opened at its first use, so that importing gatepass, and requests that need no token, do
 * without it. One that hangs is let go and opened again: a connection whose other end is gone without a word would
 * otherwise stay in use.
 */
import {TokenCacheError} from '../errors.ts';
import type {Token} from '../strategy/services.ts';
import type {Backoffs, Leases, StoredToken, TokenStore} from './token-store.ts';

/** Opens the store. The signal ends when it is no longer wanted, also before it is open. */
export type OpenStore = (signal: AbortSignal) => Promise<TokenStore>;

interface Opening {
	readonly store: Promise<TokenStore>;
	readonly abandon: AbortController;
}

export interface LazyTokenStoreSettings {
	/** Loads what `open` needs. It takes as long as this machine takes, which says nothing about the store. */
	readonly load?: () => Promise<unknown>;
	/** Milliseconds that a call may take, with the opening. */
	readonly patience?: number;
}

export class LazyTokenStore implements TokenStore {
	readonly leases: Leases;
	readonly backoffs: Backoffs;
	readonly #open: OpenStore;
	readonly #load: () => Promise<unknown>;
	readonly #patience: number;
	#loaded: Promise<unknown> | undefined;
	#opening: Opening | undefined;
	#isClosed = false;

	/** @param open opens a store that has leases. */
	constructor(open: OpenStore, {load = async () => {}, patience = 5000}: LazyTokenStoreSettings = {}) {
		this.#open = open;
		this.#load = load;
		this.#patience = patience;
		this.leases = {
			acquire: (key, holder, duration) =>
				this.#call(async ({leases}) => (await leases?.acquire(key, holder, duration)) ?? false),
			release: (key, holder) => this.#call(async ({leases}) => leases?.release(key, holder)),
		};
		this.backoffs = {
			get: key => this.#call(async ({backoffs}) => backoffs?.get(key)),
			set: (key, backoff, lifetime) =>
				this.#call(async ({backoffs}) => backoffs?.set(key, backoff, lifetime)),
		};
	}

	open(): Promise<void> {
		return this.#call(async () => {});
	}

	get(key: string): Promise<StoredToken | undefined> {
		return this.#call(store => store.get(key));
	}

	set(key: string, token: StoredToken, lifetime: number): Promise<void> {
		return this.#call(store => store.set(key, token, lifetime));
	}

	delete(key: string): Promise<void> {
		return this.#call(store => store.delete(key));
	}

	deleteIf(key: string, token: Token): Promise<void> {
		return this.#call(store => store.deleteIf(key, token));
	}

	async close(): Promise<void> {
		this.#isClosed = true;
		if (this.#opening !== undefined)
			this.#letGo(
				this.#opening,
				new TokenCacheError({code: 'closed', what: 'The token store is closed', hint: ''}),
			);
	}

	async #call<Result>(operation: (store: TokenStore) => Promise<Result>): Promise<Result> {
		// What it fails with, `open` fails with, too.
		this.#loaded ??= this.#load().catch(() => {});
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
		let fail = (): void => {};
		const abandoned = new Promise<never>((_, reject) => {
			fail = () => reject(signal.reason);
			signal.addEventListener('abort', fail, {once: true});
		});
		const timer = setTimeout(() => {
			const reason = `The token store did not answer within ${this.#patience} ms`;
			this.#letGo(opening, new TokenCacheError(reason));
		}, this.#patience);
		try {
			return await Promise.race([opening.store.then(operation), abandoned]);
		} finally {
			clearTimeout(timer);
			signal.removeEventListener('abort', fail);
		}
	}

	#begin(): Opening {
		const abandon = new AbortController();
		const opening: Opening = {store: this.#open(abandon.signal), abandon};
		// What it failed with goes to the calls that wait for it.
		opening.store.catch(error => this.#letGo(opening, error));
		return opening;
	}

	/** All calls that are under way end with the reason; the next call opens the store again. */
	#letGo(opening: Opening, reason: unknown): void {
		if (this.#opening === opening) this.#opening = undefined;
		opening.abandon.abort(reason);
		opening.store.then(
			store => store.close(),
			() => {},
		);
	}
}
