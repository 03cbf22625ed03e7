/** Locks over the connection of an adapter that a caller hands in, where gatepass knows how its server makes them. */
import type {KeyvPostgres} from '@keyv/postgres';
import type KeyvRedis from '@keyv/redis';
import type {Storage} from '../storage.ts';
import {PostgresStore} from './postgres-store.ts';
import {RedisStore} from './redis-store.ts';

/** Adapters are told apart by their shape: a caller may hand in one of another copy of its package. */
export function locksOf(adapter: unknown): Storage['lock'] {
	const {getClient, createKeyPrefix, query, opts} = adapter as Record<string, unknown>;
	if (typeof getClient === 'function' && typeof createKeyPrefix === 'function') {
		const redis = adapter as KeyvRedis<unknown>;
		const store = new RedisStore(() => redis.getClient());
		return (name, ...rest) => store.lock(redis.createKeyPrefix(name, redis.namespace), ...rest);
	}
	if (typeof query === 'function' && (opts as {dialect?: unknown} | undefined)?.dialect === 'postgres') {
		const postgres = adapter as KeyvPostgres;
		const store = new PostgresStore(postgres.query);
		return (name, ...rest) => store.lock(`${postgres.namespace ?? ''}:${name}`, ...rest);
	}
	return undefined;
}
