/** Tokens in PostgreSQL, in a table of gatepass's own; a keyv adapter, too. The server judges the time. */
import {EventEmitter} from 'node:events';
import {performance} from 'node:perf_hooks';
import type {KeyvStoreAdapter} from 'keyv';
import type {Storage, Unlock} from '../storage.ts';

/** Runs a statement, and gives its rows. */
export type RunStatement = (statement: string, values?: unknown[]) => Promise<unknown[]>;

const table = 'public.gatepass_entries';
const create = `
	CREATE TABLE ${table} (key TEXT PRIMARY KEY, value TEXT NOT NULL, expires TIMESTAMPTZ);
	CREATE INDEX gatepass_entries_expires ON ${table} (expires)`;

/** What has expired is removed after so many writes, or milliseconds, whichever is less. */
const writesPerSweep = 500;
const longestUnswept = 60_000;

const isAlive = '(entry.expires IS NULL OR entry.expires > clock_timestamp())';
const inNamespace = 'left(key, length($1)) = $1';
const insert = `INSERT INTO ${table} AS entry (key, value, expires)
	VALUES ($1, $2, clock_timestamp() + $3::double precision * INTERVAL '1 millisecond')
	ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires = excluded.expires`;
/** Passes over what another process is just removing. */
const sweep = `DELETE FROM ${table} WHERE key IN (
	SELECT key FROM ${table} WHERE expires <= clock_timestamp() FOR UPDATE SKIP LOCKED)`;

/**
 * SQLSTATE of what another process causes by making the same table at the same time: unique_violation, duplicate_table,
 * and duplicate_object for the type that PostgreSQL makes for each table.
 */
const madeByAnother = ['23505', '42P07', '42710'];

export class PostgresStore extends EventEmitter implements Storage, KeyvStoreAdapter {
	readonly opts = {dialect: 'postgres', url: 'postgres:'};
	namespace?: string | undefined;
	readonly #run: RunStatement;
	readonly #end: () => Promise<void>;
	#ready: Promise<void> | undefined;
	#writesUntilSweep = 0;
	#sweptAt = 0;

	/** @param end closes the connections; absent where they are a caller's. */
	constructor(run: RunStatement, end: () => Promise<void> = async () => {}) {
		super();
		this.#run = run;
		this.#end = end;
	}

	/** Of any type, as keyv wants it: it is the text. */
	async get<Value = string>(key: string): Promise<Value | undefined> {
		const [row] = await this.#query(`SELECT value FROM ${table} AS entry WHERE key = $1 AND ${isAlive}`, key);
		return (row as {value: Value} | undefined)?.value;
	}

	async set(key: string, value: string, ttl?: number): Promise<void> {
		await this.#query(insert, key, value, ttl ?? null);
		this.#sweepIfDue();
	}

	async delete(key: string): Promise<boolean> {
		const rows = await this.#query(`DELETE FROM ${table} WHERE key = $1 RETURNING 1`, key);
		return rows.length > 0;
	}

	async compareAndDelete(key: string, value: string): Promise<boolean> {
		const statement = `DELETE FROM ${table} WHERE key = $1 AND value = $2 RETURNING 1`;
		return (await this.#query(statement, key, value)).length > 0;
	}

	async lock(key: string, holder: string, duration: number): Promise<Unlock | undefined> {
		const statement = `${insert} WHERE NOT ${isAlive} OR entry.value = excluded.value RETURNING 1`;
		const rows = await this.#query(statement, key, holder, duration);
		return rows.length > 0 ? () => this.compareAndDelete(key, holder) : undefined;
	}

	async clear(): Promise<void> {
		await this.#query(`DELETE FROM ${table} WHERE ${inNamespace}`, prefixOf(this.namespace));
	}

	async *iterator<Value>(
		namespace?: string,
	): AsyncGenerator<Array<string | Awaited<Value> | undefined>, void> {
		const statement = `SELECT key, value FROM ${table} AS entry WHERE ${inNamespace} AND ${isAlive}`;
		const rows = await this.#query(statement, prefixOf(namespace));
		for (const {key, value} of rows as {key: string; value: Awaited<Value>}[]) yield [key, value];
	}

	async disconnect(): Promise<void> {
		await this.#end();
	}

	/** Make the table where it is missing. */
	prepare(): Promise<void> {
		this.#ready ??= this.#ensureTable().catch(error => {
			// A server that is down now may be there at the next call.
			this.#ready = undefined;
			throw error;
		});
		return this.#ready;
	}

	async #query(statement: string, ...values: unknown[]): Promise<unknown[]> {
		await this.prepare();
		return this.#run(statement, values);
	}

	/** Not `CREATE TABLE IF NOT EXISTS`, which is refused also where the table is there, to a role that may not create tables. */
	async #ensureTable(): Promise<void> {
		const [row] = await this.#run('SELECT to_regclass($1) IS NOT NULL AS present', [table]);
		if ((row as {present: boolean}).present) return;
		try {
			await this.#run(create);
		} catch (error) {
			if (!madeByAnother.includes(String((error as {code?: unknown}).code))) throw error;
		}
	}

	/** Without this, the table would only grow. No matter where it fails: a server that can only be read is of use, too. */
	#sweepIfDue(): void {
		this.#writesUntilSweep -= 1;
		if (this.#writesUntilSweep > 0 && performance.now() < this.#sweptAt + longestUnswept) return;
		this.#writesUntilSweep = writesPerSweep;
		this.#sweptAt = performance.now();
		this.#query(sweep).catch(() => {});
	}
}

function prefixOf(namespace: string | undefined): string {
	return namespace === undefined ? '' : `${namespace}:`;
}
