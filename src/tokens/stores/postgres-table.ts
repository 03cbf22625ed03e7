/** Makes a table of gatepass's in PostgreSQL where it is missing. */

/** Anything that sends statements, such as a `@keyv/postgres` adapter. */
export interface StatementRunner {
	query(statement: string, values?: unknown): Promise<unknown[]>;
}

/**
 * SQLSTATE of what another process causes by making the same table at the same time: unique_violation, duplicate_table,
 * and duplicate_object for the type that PostgreSQL makes for each table.
 */
const madeByAnother = ['23505', '42P07', '42710'];

/**
 * Run `statement` unless there is such a table. Not `CREATE TABLE IF NOT EXISTS`, which is refused also where the
 * table is there, to a role that may not create tables.
 */
export async function ensureTable(server: StatementRunner, table: string, statement: string): Promise<void> {
	const [row] = (await server.query('SELECT to_regclass($1) IS NOT NULL AS present', [table])) as [
		{present: boolean},
	];
	if (row.present) return;
	try {
		await server.query(statement);
	} catch (error) {
		if (!madeByAnother.includes(String((error as {code?: unknown}).code))) throw error;
	}
}
