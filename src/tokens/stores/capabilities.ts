/** What a keyv adapter can do besides what keyv asks of it. */
import type {KeyvPostgres} from '@keyv/postgres';
import type KeyvRedis from '@keyv/redis';
import type {StoreCapabilities} from '../token-store.ts';
import {postgresAbilities} from './postgres-capabilities.ts';
import {redisAbilities} from './redis-capabilities.ts';
import type {SqliteStore} from './sqlite-store.ts';

/** Adapters are told apart by their shape: a caller may hand in one of another copy of its package. */
export function abilitiesOf(adapter: unknown): StoreCapabilities {
	if (adapter instanceof Map) {
		return {deleteIfEqual: async (key, stored) => adapter.get(key) === stored && adapter.delete(key)};
	}
	const {compareAndDelete, lock, getClient, createKeyPrefix, query, opts} = adapter as Record<
		string,
		unknown
	>;
	if (typeof compareAndDelete === 'function' && typeof lock === 'function') {
		return lockingAbilities(adapter as SqliteStore);
	}
	if (typeof getClient === 'function' && typeof createKeyPrefix === 'function') {
		return redisAbilities(adapter as KeyvRedis<unknown>);
	}
	if (typeof query === 'function' && (opts as {dialect?: unknown} | undefined)?.dialect === 'postgres') {
		return postgresAbilities(adapter as KeyvPostgres);
	}
	return {};
}

function lockingAbilities(store: SqliteStore): StoreCapabilities {
	const lockOf = (key: string): string => `lock of ${key}`;
	return {
		deleteIfEqual: (key, stored) => store.compareAndDelete(key, stored),
		leases: {
			acquire: (key, holder, duration) => store.lock(lockOf(key), holder, duration),
			release: async (key, holder) => void (await store.compareAndDelete(lockOf(key), holder)),
		},
	};
}
