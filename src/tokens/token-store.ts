/**
 * Tokens, and what issuers said about when to come back, as entries of a storage: named, sealed where there are keys, and
 * checked when they are read. The storage stands behind a circuit breaker, so nothing here fails but `delete`.
 *
 * An entry is named by the hash of its cache key: of one length, as some stores allow but short names, and without
 * telling who asks for what. Its text is what keyv makes of a value, so that whoever opens a keyv on the store sees it.
 */
import {createHash, type KeyObject} from 'node:crypto';
import {TokenCacheError} from '../errors.ts';
import type {Token} from '../strategy/services.ts';
import {CircuitBreaker} from './circuit-breaker.ts';
import {Sealer} from './encryption.ts';
import type {Storage, StorageOpener} from './storage.ts';
import {type Backoff, isBackoff, type StoredToken} from './stored-token.ts';
import {isToken} from './token-memory.ts';

/** What came of asking for a lease: one that can be given back, `held` by somebody else, or the store could not say. */
export type LeaseAnswer = {readonly giveBack: () => Promise<void>} | 'held' | undefined;

export interface TokenStoreSettings {
	/** The first encrypts, all decrypt. None: tokens are kept as they are. */
	readonly keys?: readonly KeyObject[] | undefined;
	/** Called with what goes wrong: the store fails, or an entry cannot be used. */
	readonly report?: ((error: TokenCacheError) => void) | undefined;
}

type IsValue<Value> = (value: unknown) => value is Value;

export class TokenStore {
	/** Absent for `memory:`. */
	readonly #storage: CircuitBreaker | undefined;
	readonly #sealer: Sealer | undefined;
	readonly #report: (error: TokenCacheError) => void;

	constructor(opener: StorageOpener | undefined, {keys = [], report = () => {}}: TokenStoreSettings = {}) {
		const [first, ...others] = keys;
		this.#sealer = first && new Sealer([first, ...others]);
		this.#report = report;
		this.#storage = opener && new CircuitBreaker(opener, report);
	}

	get(key: string): Promise<StoredToken | undefined> {
		return this.#get(key, isToken);
	}

	/** Keep a token for `lifetime` milliseconds. */
	set(key: string, token: StoredToken, lifetime: number): Promise<void> {
		return this.#set(key, token, lifetime, [token.value]);
	}

	/**
	 * Delete the token, and the backoff that is kept for it.
	 *
	 * @throws {TokenCacheError} where it may still be there.
	 */
	async delete(key: string): Promise<void> {
		const names = [nameOf(key), nameOf(backoffOf(key))];
		await this.#storage?.insistOnDeleting(storage => Promise.all(names.map(name => storage.delete(name))));
	}

	/** Delete only if what is kept is still that token. */
	async deleteIf(key: string, {value}: Token): Promise<void> {
		const name = nameOf(key);
		const deleteIt = async (storage: Storage): Promise<void> => {
			const text = await storage.get(name);
			if (text === undefined || this.#read(key, text, isToken)?.value !== value) return;
			await storage.compareAndDelete(name, text);
		};
		await this.#storage?.attempt('Deleting from', deleteIt, [value]);
	}

	/**
	 * Keep all others who share the store from fetching the token for `duration` milliseconds.
	 *
	 * Whoever wakes up after its time may fetch, too: then there are two valid tokens, which does no harm.
	 */
	async lease(key: string, holder: string, duration: number): Promise<LeaseAnswer> {
		const name = nameOf(`lease of ${key}`);
		const breaker = this.#storage;
		return breaker?.attempt('Taking a lease in', async storage => {
			if (storage.lock === undefined) return undefined;
			const unlock = await storage.lock(name, holder, Math.ceil(duration));
			if (unlock === undefined) return 'held';
			return {giveBack: () => breaker.tryTo(unlock)};
		});
	}

	getBackoff(key: string): Promise<Backoff | undefined> {
		return this.#get(backoffOf(key), isBackoff);
	}

	/** Keep one for `lifetime` milliseconds. */
	setBackoff(key: string, backoff: Backoff, lifetime: number): Promise<void> {
		return this.#set(backoffOf(key), backoff, lifetime);
	}

	async close(): Promise<void> {
		await this.#storage?.close();
	}

	async #get<Value>(key: string, isValue: IsValue<Value>): Promise<Value | undefined> {
		const text = await this.#storage?.attempt('Reading from', storage => storage.get(nameOf(key)));
		return text === undefined ? undefined : this.#read(key, text, isValue);
	}

	async #set(key: string, content: object, lifetime: number, secrets: string[] = []): Promise<void> {
		const milliseconds = Math.max(1, Math.ceil(lifetime));
		const value = this.#sealer === undefined ? content : this.#sealer.seal(key, JSON.stringify(content));
		const text = JSON.stringify({value, expires: Date.now() + milliseconds});
		await this.#storage?.attempt(
			'Writing to',
			storage => storage.set(nameOf(key), text, milliseconds),
			secrets,
		);
	}

	/** What cannot be read (of another version, damaged, sealed with a key that is gone) counts as absent. */
	#read<Value>(key: string, text: string, isValue: IsValue<Value>): Value | undefined {
		const value = parse(text)?.value;
		if (this.#sealer === undefined) {
			if (isValue(value)) return value;
			return this.#passOver(typeof value === 'string' ? 'it is encrypted, or no token' : 'it is no token');
		}
		const opened = this.#sealer.open(key, typeof value === 'string' ? value : '');
		if (opened.text === undefined) return this.#passOver(opened.problem);
		const content: unknown = JSON.parse(opened.text);
		return isValue(content) ? content : this.#passOver('it is no token');
	}

	#passOver(problem: string): undefined {
		this.#report(
			new TokenCacheError({
				code: 'token-store-failed',
				what: `What the token store keeps for a token cannot be used: ${problem}`,
				hint: 'It is passed over',
			}),
		);
		return undefined;
	}
}

function parse(text: string): {readonly value?: unknown} | undefined {
	try {
		return JSON.parse(text) ?? undefined;
	} catch {
		return undefined;
	}
}

/** The key of what is kept besides a token. */
function backoffOf(key: string): string {
	return `backoff of ${key}`;
}

function nameOf(key: string): string {
	return `gatepass:${createHash('sha256').update(key).digest('hex')}`;
}
