/** From the URL of a token store to a keyv instance. */
import {Keyv, type KeyvStoreAdapter} from 'keyv';
import type {Token} from '../services.ts';

/** Open the store that `cache.url` names. The URL was checked with the configuration. */
export function openStore(url: string): Keyv<Token> {
	const store = new Keyv<Token>({
		store: url.startsWith('sqlite:') ? lazySqlite(url.slice('sqlite:'.length)) : new Map(),
		namespace: 'gatepass',
		throwOnErrors: true,
	});
	// keyv both emits and throws; the token cache reports what is thrown.
	store.on('error', () => {});
	return store;
}

/**
 * The sqlite store, opened at its first use: importing gatepass, and requests that need no token, do without
 * `node:sqlite`, and a file that cannot be opened is met where the token cache can go on without it.
 */
function lazySqlite(file: string): KeyvStoreAdapter {
	let opening: Promise<KeyvStoreAdapter> | undefined;
	const open = (): Promise<KeyvStoreAdapter> => {
		opening ??= import('./sqlite-store.ts').then(({SqliteStore}) => new SqliteStore(file));
		opening.catch(() => {
			opening = undefined;
		});
		return opening;
	};
	const adapter: KeyvStoreAdapter = {
		opts: {url: `sqlite:${file}`},
		get: async key => (await open()).get(key),
		set: async (key, value, ttl) => (await open()).set(key, value, ttl),
		delete: async key => (await open()).delete(key),
		clear: async () => (await open()).clear(),
		disconnect: async () => {
			if (opening !== undefined) await (await opening).disconnect?.();
		},
		on: () => adapter,
	};
	return adapter;
}
