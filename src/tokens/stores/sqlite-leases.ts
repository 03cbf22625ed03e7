/** Leases in the sqlite file. The machine's clock judges the time: all who use the file are on one machine. */
import type {DatabaseSync} from 'node:sqlite';
import type {Leases} from '../token-store.ts';
import {whenFree} from './sqlite-busy.ts';

const schema = `
	CREATE TABLE IF NOT EXISTS lease (
		key TEXT PRIMARY KEY, holder TEXT NOT NULL, taken INTEGER NOT NULL, expires INTEGER NOT NULL
	) STRICT, WITHOUT ROWID`;

/**
 * A lease that was taken in the future is void: the clock was set back, and it could last for ever. Not one of the near
 * future: between a look at the clock and the write, another process may have taken it.
 */
const isOver = '(?3 >= expires OR ?3 < taken - 60000)';

export function createSqliteLeases(database: DatabaseSync): Leases {
	database.exec(schema);
	// Left behind by processes that were killed.
	const forget = database.prepare(`DELETE FROM lease WHERE ${isOver.replaceAll('?3', '?1')}`);
	whenFree(() => forget.run(Date.now())).catch(() => {});
	// Who has the lease already gets it again, as in the other stores.
	const acquire = database.prepare(
		`INSERT INTO lease (key, holder, taken, expires) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (key) DO UPDATE SET holder = excluded.holder, taken = excluded.taken, expires = excluded.expires
		WHERE ${isOver} OR holder = excluded.holder`,
	);
	const release = database.prepare('DELETE FROM lease WHERE key = ? AND holder = ?');
	return {
		acquire: async (key, holder, duration) => {
			const {changes} = await whenFree(() => {
				const now = Date.now();
				return acquire.run(key, holder, now, now + Math.ceil(duration));
			});
			return Number(changes) > 0;
		},
		release: async (key, holder) => {
			await whenFree(() => release.run(key, holder));
		},
	};
}
