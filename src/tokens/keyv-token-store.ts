/**
 * A token store over any keyv instance. What it keeps is sealed where there are keys, and checked when it is read.
 *
 * An entry is named by the hash of its cache key: of one length, as some stores allow but short names, and without
 * telling who asks for what. It is read past keyv, which would delete what has expired, even where another process has
 * just put a new token in its place.
 */
import {createHash} from 'node:crypto';
import type {Keyv} from 'keyv';
import {TokenCacheError} from '../errors.ts';
import type {Token} from '../strategy/services.ts';
import type {Sealer} from './encryption.ts';
import {isBackoff, isToken} from './is-token.ts';
import {abilitiesOf} from './stores/capabilities.ts';
import type {Backoffs, Leases, StoreCapabilities, StoredToken, TokenStore} from './token-store.ts';

export interface KeyvTokenStoreSettings {
	/** Absent: tokens are kept as they are. */
	readonly sealer?: Sealer | undefined;
	/** Called when an entry cannot be used, and why. */
	readonly onGarbage?: ((error: TokenCacheError) => void) | undefined;
	/** Lets go of the connection. Absent where a caller handed the store in: it is the caller's to close. */
	readonly disconnect?: (() => void) | undefined;
}

type IsValue<Value> = (value: unknown) => value is Value;

/** An entry as the adapter has it, and what keyv makes of it. */
interface Entry {
	readonly raw: unknown;
	readonly value: unknown;
}

export class KeyvTokenStore implements TokenStore {
	readonly leases: Leases | undefined;
	readonly backoffs: Backoffs;
	readonly #keyv: Keyv;
	readonly #settings: KeyvTokenStoreSettings;
	readonly #abilities: StoreCapabilities;

	constructor(keyv: Keyv, settings: KeyvTokenStoreSettings = {}) {
		this.#keyv = keyv;
		this.#settings = settings;
		this.#abilities = abilitiesOf(keyv.store);
		const {leases} = this.#abilities;
		this.leases = leases && {
			acquire: (key, holder, duration) => leases.acquire(nameOf(key), holder, duration),
			release: (key, holder) => leases.release(nameOf(key), holder),
		};
		this.backoffs = {
			get: key => this.#get(besides(key), isBackoff),
			set: (key, backoff, lifetime) => this.#set(besides(key), backoff, lifetime),
		};
	}

	get(key: string): Promise<StoredToken | undefined> {
		return this.#get(key, isToken);
	}

	set(key: string, token: StoredToken, lifetime: number): Promise<void> {
		return this.#set(key, token, lifetime);
	}

	async delete(key: string): Promise<void> {
		await Promise.all([this.#keyv.delete(nameOf(key)), this.#keyv.delete(nameOf(besides(key)))]);
	}

	async deleteIf(key: string, token: Token): Promise<void> {
		const name = nameOf(key);
		const entry = await this.#read(name);
		if (entry === undefined || this.#valueOf(key, entry, isToken)?.value !== token.value) return;
		const {deleteIfEqual} = this.#abilities;
		if (deleteIfEqual !== undefined && typeof entry.raw === 'string') {
			await deleteIfEqual(this.#keyv._getKeyPrefix(name), entry.raw);
		} else {
			await this.#keyv.delete(name);
		}
	}

	async close(): Promise<void> {
		this.#settings.disconnect?.();
	}

	async #get<Value>(key: string, isValue: IsValue<Value>): Promise<Value | undefined> {
		const entry = await this.#read(nameOf(key));
		return entry && this.#valueOf(key, entry, isValue);
	}

	async #set(key: string, content: object, lifetime: number): Promise<void> {
		const {sealer} = this.#settings;
		const value = sealer === undefined ? content : sealer.seal(key, JSON.stringify(content));
		const kept = await this.#keyv.set(nameOf(key), value, Math.max(1, Math.ceil(lifetime)));
		// A keyv instance that does not throw says so by `false`.
		if (!kept)
			throw new TokenCacheError({
				code: 'token-store-failed',
				what: 'The token store did not keep a token',
				hint: '',
			});
	}

	async #read(name: string): Promise<Entry | undefined> {
		const raw: unknown = await this.#keyv.store.get(this.#keyv._getKeyPrefix(name));
		if (raw === undefined || raw === null) return undefined;
		const data = await this.#deserialize(raw);
		if (typeof data?.expires === 'number' && data.expires <= Date.now()) return undefined;
		return {raw, value: data?.value};
	}

	async #deserialize(raw: unknown): Promise<{value?: unknown; expires?: unknown} | undefined> {
		if (typeof raw !== 'string') return raw as object;
		try {
			return (await this.#keyv.deserializeData<unknown>(raw)) as object | undefined;
		} catch {
			return undefined;
		}
	}

	#valueOf<Value>(key: string, {value}: Entry, isValue: IsValue<Value>): Value | undefined {
		const {sealer} = this.#settings;
		if (sealer === undefined) {
			if (isValue(value)) return value;
			return this.#passOver(typeof value === 'string' ? 'it is encrypted, or no token' : 'it is no token');
		}
		const {text, problem} = sealer.open(key, typeof value === 'string' ? value : '');
		if (text === undefined) return this.#passOver(problem);
		const content: unknown = JSON.parse(text);
		return isValue(content) ? content : this.#passOver('it is no token');
	}

	#passOver(problem: string): undefined {
		this.#settings.onGarbage?.(
			new TokenCacheError({
				code: 'token-store-failed',
				what: `What the token store keeps for a token cannot be used: ${problem}`,
				hint: 'It is passed over',
			}),
		);
		return undefined;
	}
}

/** The key of what is kept besides a token. */
function besides(key: string): string {
	return `backoff of ${key}`;
}

function nameOf(key: string): string {
	return createHash('sha256').update(key).digest('hex');
}
