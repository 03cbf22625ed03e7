/** Leases and compare-and-delete in PostgreSQL, over the connections of a `@keyv/postgres` adapter. */
import type {KeyvPostgres} from '@keyv/postgres';
import type {StoreCapabilities} from '../token-store.ts';
import {ensureTable} from './postgres-table.ts';

export function postgresAbilities(adapter: KeyvPostgres): Required<StoreCapabilities> {
	const {schema, table} = adapter.opts as {schema: string; table: string};
	const leases = `${schema}.gatepass_leases`;
	let ready: Promise<void> | undefined;
	const query = async (statement: string, values: readonly unknown[]): Promise<unknown[]> => {
		ready ??= prepare();
		// A server that is down now may be there at the next call.
		ready.catch(() => {
			ready = undefined;
		});
		await ready;
		return adapter.query(statement, values);
	};
	const prepare = async (): Promise<void> => {
		await ensureTable(
			adapter,
			leases,
			`CREATE TABLE ${leases} (key TEXT PRIMARY KEY, holder TEXT NOT NULL, expires TIMESTAMPTZ NOT NULL)`,
		);
		// Left behind by processes that were killed.
		await adapter.query(`DELETE FROM ${leases} WHERE expires <= clock_timestamp()`);
	};
	return {
		deleteIfEqual: (key, stored) =>
			adapter.query(`DELETE FROM ${schema}.${table} WHERE key = $1 AND value = $2`, [key, stored]),
		leases: {
			/**
			 * The server judges the time. Who has the lease already gets it again: the answer to its first request may
			 * have been lost with a connection.
			 */
			acquire: async (key, holder, duration) => {
				const rows = await query(
					`INSERT INTO ${leases} AS lease (key, holder, expires)
					VALUES ($1, $2, clock_timestamp() + $3 * INTERVAL '1 millisecond')
					ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
					WHERE lease.expires <= clock_timestamp() OR lease.holder = excluded.holder
					RETURNING 1`,
					[key, holder, duration],
				);
				return rows.length > 0;
			},
			release: async (key, holder) => {
				await query(`DELETE FROM ${leases} WHERE key = $1 AND holder = $2`, [key, holder]);
			},
		},
	};
}
