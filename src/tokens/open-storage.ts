/** From what the configuration names, or a caller hands in, to a storage. */
import type {Keyv, KeyvStoreAdapter} from 'keyv';
import {isSharedKind, readStoreUrl, type StoreKind, storeKindOf} from '../config/store-url.ts';
import {TokenCacheError} from '../errors.ts';
import type {Storage, StorageOpener} from './storage.ts';
import type {ServerTrust} from './stores/server-trust.ts';

/** What a storage can be made of: a URL, or a keyv adapter or instance of the caller's. */
export type StorageSource = string | KeyvStoreAdapter | Map<string, unknown> | Keyv;

/** What verifies the server of a URL that asks for TLS. Asked for when it connects. `undefined`: the system's CA certificates. */
export type FindTrust = () => ServerTrust | undefined;

/** Nothing is loaded, opened or connected yet. `memory:` is none: the token cache has all tokens in memory anyway. */
export function openStorage(
	source: StorageSource,
	trust: FindTrust = () => undefined,
): StorageOpener | undefined {
	if (typeof source !== 'string') return handedIn(source);
	const read = readStoreUrl(source);
	if (read === undefined) {
		// Not repeated: a URL of a store may hold a password.
		throw new TokenCacheError({
			code: 'token-store-unknown',
			what: "'cache.url' names no store that gatepass knows, or cannot be read",
			hint: 'Write sqlite:FILE, memory:, redis://HOST or postgres://HOST/DATABASE, with user and password percent-encoded',
		});
	}
	return read.kind === 'memory' ? undefined : openers[read.kind](read.url, trust);
}

/** Whether other machines may have the same storage. */
export function mayBeShared(source: StorageSource): boolean {
	if (typeof source !== 'string') return true;
	const kind = storeKindOf(source);
	return kind !== undefined && isSharedKind(kind);
}

const openers: Readonly<
	Record<Exclude<StoreKind, 'memory'>, (url: string, trust: FindTrust) => StorageOpener>
> = {
	sqlite: url => ({
		load: () => import('./stores/sqlite-store.ts'),
		async open() {
			const {SqliteStore} = await import('./stores/sqlite-store.ts');
			return new SqliteStore(url.slice('sqlite:'.length));
		},
	}),
	redis: (url, trust) => {
		const connection = () => import('./stores/redis-connection.ts');
		return {
			load: async () => (await connection()).loadRedis(),
			open: async signal => (await connection()).connectRedis(url, {trust: trust(), signal}),
		};
	},
	postgres: (url, trust) => {
		const connection = () => import('./stores/postgres-connection.ts');
		return {
			load: async () => (await connection()).loadPostgres(),
			open: async () => (await connection()).connectPostgres(url, trust()),
		};
	},
};

function handedIn(source: Exclude<StorageSource, string>): StorageOpener {
	for (const method of ['get', 'set', 'delete', 'clear'] as const) {
		if (typeof source?.[method] === 'function') continue;
		throw new TokenCacheError({
			code: 'token-store-failed',
			what: `What was given as 'cache' is no keyv adapter or instance: it has no method '${method}'`,
			hint: 'Give one, or take it out',
		});
	}
	let storage: Promise<Storage> | undefined;
	return {
		open() {
			storage ??= import('./stores/keyv-storage.ts').then(({KeyvStorage}) => new KeyvStorage(source));
			return storage;
		},
	};
}
