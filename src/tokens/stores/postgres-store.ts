/**
 * `@keyv/postgres` with connections of its own. As it comes, its connections are shared by the whole process, one
 * that breaks while idle ends the process, and a table that could not be made at first is not tried again.
 */
import {createRequire} from 'node:module';
import {KeyvPostgres} from '@keyv/postgres';
import {ensureTable} from './postgres-table.ts';
import type {ServerTrust} from './server-trust.ts';

/** Milliseconds for a connection, and for a statement. */
const patience = 5000;
const table = 'public.gatepass_tokens';

/** What is used of `pg.Pool`, https://node-postgres.com/apis/pool */
interface Pool {
	on(event: 'error', listener: (error: Error) => void): this;
	query(statement: string, values?: unknown): Promise<{rows: unknown[]}>;
	end(): Promise<void>;
}

export class PostgresStore extends KeyvPostgres {
	// Made by `connect`, which the constructor of the parent calls: an initializer here would undo it.
	declare private pool: Pool;

	constructor(url: string, trust?: ServerTrust) {
		super({...connectionOptions(url, trust), schema: 'public', table: 'gatepass_tokens'});
		// The parent emits what went wrong with its table. What matters is thrown by the next statement.
		this.on('error', () => {});
		const query = this.query;
		let ready: Promise<void> | undefined;
		this.query = async (statement, values) => {
			ready ??= prepare({query});
			// A server that is down now may be there at the next call.
			ready.catch(() => {
				ready = undefined;
			});
			await ready;
			return query(statement, values);
		};
	}

	override async connect(): Promise<KeyvPostgres['query']> {
		// The parent's own copy of pg: it is no dependency of gatepass's.
		const fromHere = createRequire(import.meta.url);
		const pg = createRequire(fromHere.resolve('@keyv/postgres'))('pg') as {
			Pool: new (options: object) => Pool;
		};
		const pool = new pg.Pool({
			...this.opts,
			connectionString: this.opts.uri,
			application_name: 'gatepass',
			max: 4,
			connectionTimeoutMillis: patience,
			query_timeout: patience,
			allowExitOnIdle: true,
		});
		// The pool drops a connection that broke, and makes another one at the next statement.
		pool.on('error', () => {});
		this.pool = pool;
		return async (statement, values) => (await pool.query(statement, values)).rows;
	}

	override async disconnect(): Promise<void> {
		await this.pool.end();
	}
}

async function prepare(server: {query: KeyvPostgres['query']}): Promise<void> {
	await ensureTable(server, table, `CREATE TABLE ${table} (key VARCHAR(255) PRIMARY KEY, value TEXT)`);
	// keyv deletes what has expired only when it is asked for again: without this, the table would only grow.
	const deleteEnded = `DELETE FROM ${table}
		WHERE substring(value FROM '"expires":(\\d{1,15})\\}$')::BIGINT < extract(epoch FROM now()) * 1000`;
	// No matter where it fails: a server that can only be read is of use, too.
	await server.query(deleteEnded).catch(() => {});
}

/**
 * A URL that asks for TLS gets it with the server verified, against `trust` where the configuration names some. Certificate
 * files in the URL come before that.
 */
function connectionOptions(url: string, trust: ServerTrust | undefined): {uri: string; ssl?: object} {
	const parsed = new URL(url);
	const has = (name: string): boolean => parsed.searchParams.has(name);
	const asksForTls = ['require', 'verify-ca', 'verify-full'].includes(
		parsed.searchParams.get('sslmode') ?? '',
	);
	if (!asksForTls || ['sslcert', 'sslkey', 'sslrootcert', 'uselibpqcompat'].some(has)) return {uri: url};
	parsed.searchParams.delete('sslmode');
	return {uri: parsed.href, ssl: {rejectUnauthorized: true, ...trust}};
}
