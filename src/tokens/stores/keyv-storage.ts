/**
 * A storage over any keyv adapter or instance of a caller's. Entries are read past keyv, which would delete what has expired, even
 * where another process has just put a new token in its place, and which may keep to itself that an adapter failed.
 */
import {Keyv, type KeyvStoreAdapter} from 'keyv';
import {TokenCacheError} from '../../errors.ts';
import type {Storage, Unlock} from '../storage.ts';
import {locksOf} from './adapter-locks.ts';

export class KeyvStorage implements Storage {
	readonly lock?: (name: string, holder: string, duration: number) => Promise<Unlock | undefined>;
	readonly #keyv: Keyv;
	/** The errors that it has told, by an event: some adapters say nothing else, and answer as if nothing were there. */
	#told = 0;
	#lastTold: unknown;

	constructor(source: Keyv | KeyvStoreAdapter | Map<string, unknown>) {
		const keyv = isKeyv(source) ? source : keyvOver(source);
		this.#keyv = keyv;
		keyv.on('error', error => {
			this.#told += 1;
			this.#lastTold = error;
		});
		const locks = locksOf(keyv.store);
		if (locks !== undefined) this.lock = locks;
	}

	async get(name: string): Promise<string | undefined> {
		const raw: unknown = await this.#unlessTold(
			() => this.#keyv.store.get(this.#prefixed(name)),
			found => found === undefined,
		);
		if (raw === undefined || raw === null) return undefined;
		const {value, expires} = await this.#deserialize(raw);
		if (typeof expires === 'number' && expires <= Date.now()) return undefined;
		return JSON.stringify({value});
	}

	async set(name: string, text: string, lifetime: number): Promise<void> {
		const {value} = JSON.parse(text) as {value: unknown};
		const kept = await this.#unlessTold(
			() => this.#keyv.set(name, value, lifetime),
			() => true,
		);
		if (!kept)
			throw new TokenCacheError({
				code: 'token-store-failed',
				what: 'The token store did not keep a token',
				hint: '',
			});
	}

	async delete(name: string): Promise<void> {
		await this.#unlessTold(
			() => this.#keyv.store.delete(this.#prefixed(name)),
			isDeleted => isDeleted !== true,
		);
	}

	/** Not in one step: a new token that comes between is deleted, too, and fetched once more. */
	async compareAndDelete(name: string, text: string): Promise<void> {
		if ((await this.get(name)) === text) await this.delete(name);
	}

	/** An answer that may be a failure is one if an error was told meanwhile. */
	async #unlessTold<Answer>(
		call: () => Answer | Promise<Answer>,
		mayHaveFailed: (answer: Answer) => boolean,
	): Promise<Answer> {
		const before = this.#told;
		const answer = await call();
		if (this.#told !== before && mayHaveFailed(answer)) throw this.#lastTold;
		return answer;
	}

	/** As keyv does it. */
	#prefixed(name: string): string {
		const {namespace, useKeyPrefix} = this.#keyv;
		if (!useKeyPrefix || !namespace || name.startsWith(`${namespace}:`)) return name;
		return `${namespace}:${name}`;
	}

	/** What cannot be read is none of keyv's entries. */
	async #deserialize(raw: unknown): Promise<{value?: unknown; expires?: unknown}> {
		if (typeof raw !== 'string') return raw as object;
		try {
			return (await this.#keyv.deserializeData<unknown>(raw)) ?? {};
		} catch {
			return {};
		}
	}
}

/** By its shape: a caller may hand in one of another copy of keyv. */
function isKeyv(source: object): source is Keyv {
	return typeof (source as Partial<Keyv>).deserializeData === 'function';
}

/** keyv gives the adapter its namespace, so one that a caller has chosen is kept. */
function keyvOver(adapter: KeyvStoreAdapter | Map<string, unknown>): Keyv {
	const store = adapter as KeyvStoreAdapter;
	return new Keyv({store, namespace: store.namespace || 'gatepass', throwOnErrors: true});
}
