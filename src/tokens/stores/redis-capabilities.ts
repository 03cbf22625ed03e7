/** Leases and compare-and-delete in Redis, over the connection of a `@keyv/redis` adapter. */
import type KeyvRedis from '@keyv/redis';
import type {StoreCapabilities} from '../token-store.ts';

/** As a script, so that it is one step. */
const deleteIfEqualScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

/**
 * `SET NX PX`: Redis itself judges the time. Who has the lease already gets it again: the answer to its first request
 * may have been lost with a connection.
 */
const acquireScript = `
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`;

/** The one command of the clients (single, cluster, sentinel) that is used here. */
interface ScriptRunner {
	eval(script: string, options: {keys: string[]; arguments: string[]}): Promise<unknown>;
}

export function redisAbilities(adapter: KeyvRedis<unknown>): Required<StoreCapabilities> {
	const run = async (script: string, key: string, ...values: string[]): Promise<unknown> => {
		const client = (await adapter.getClient()) as unknown as ScriptRunner;
		return client.eval(script, {keys: [key], arguments: values});
	};
	const leaseKey = (key: string): string =>
		adapter.createKeyPrefix(key, `${adapter.namespace ?? 'gatepass'}-lease`);
	return {
		deleteIfEqual: (key, stored) =>
			run(deleteIfEqualScript, adapter.createKeyPrefix(key, adapter.namespace), stored),
		leases: {
			acquire: async (key, holder, duration) =>
				(await run(acquireScript, leaseKey(key), holder, String(Math.ceil(duration)))) === 1,
			release: async (key, holder) => {
				await run(deleteIfEqualScript, leaseKey(key), holder);
			},
		},
	};
}
