/**
 * Tokens in one sqlite file, over Node's built-in `node:sqlite`; a keyv adapter, too. Many processes may use the file at
 * once: every write is one statement, and a writer waits for another one. Times are by the machine's clock: all who use
 * the file are on one machine.
 */
import {EventEmitter} from 'node:events';
import {performance} from 'node:perf_hooks';
import type {DatabaseSync, StatementSync} from 'node:sqlite';
import type {KeyvStoreAdapter} from 'keyv';
import type {Storage, Unlock} from '../storage.ts';
import {FileIsLocked, whenFree} from './sqlite-busy.ts';
import {openSqliteFile, removeDamaged} from './sqlite-file.ts';

/** What has expired is removed after so many writes, or milliseconds, whichever is less. */
const writesPerSweep = 500;
const longestUnswept = 60_000;

/**
 * What was kept in the future is void: the clock was put back, and it could last for ever. Not the near future: between
 * a look at the clock and the write, another process may have written.
 */
const isAlive = '(expires IS NULL OR expires > :now) AND kept <= :now + 60000';

type Statements = Record<
	'get' | 'set' | 'lock' | 'delete' | 'compareAndDelete' | 'clear' | 'all' | 'sweep' | 'checkpoint',
	StatementSync
>;

export class SqliteStore extends EventEmitter implements Storage, KeyvStoreAdapter {
	readonly opts: {url: string};
	namespace?: string | undefined;
	readonly #file: string;
	readonly #database: DatabaseSync;
	readonly #statements: Statements;
	/** Writes go one after the other: one that had to wait must not undo a later one. */
	#lastWrite: Promise<unknown> = Promise.resolve();
	/** Waits for its turn. */
	#erasure: Promise<void> | undefined;
	#writesUntilSweep = 0;
	#sweptAt = 0;

	/** @throws {TokenCacheError} where the file is not this user's alone. */
	constructor(file: string) {
		super();
		this.opts = {url: `sqlite:${file}`};
		this.#file = file;
		this.#database = openSqliteFile(file);
		try {
			this.#statements = prepare(this.#database);
			this.#sweepIfDue();
		} catch (error) {
			this.#database.close();
			throw error;
		}
	}

	/** Of any type, as keyv wants it: it is the text. */
	async get<Value = string>(key: string): Promise<Value | undefined> {
		return this.#statements.get.get({key, now: Date.now()})?.value as Value | undefined;
	}

	async set(key: string, value: string, ttl?: number): Promise<void> {
		await this.#write(() => this.#statements.set.run(newRow(key, value, ttl)));
		this.#sweepIfDue();
	}

	/** Delete an entry so that nothing of it stays: neither here nor in the log nor in what was put aside. */
	async delete(key: string): Promise<boolean> {
		const {changes} = await this.#write(() => this.#statements.delete.run({key}));
		this.#erasure ??= this.#erase();
		await this.#erasure;
		return Number(changes) > 0;
	}

	/** Delete the entry only if it is still this text: one statement. */
	async compareAndDelete(key: string, value: string): Promise<boolean> {
		const {changes} = await this.#write(() => this.#statements.compareAndDelete.run({key, value}));
		return Number(changes) > 0;
	}

	async lock(key: string, holder: string, duration: number): Promise<Unlock | undefined> {
		const {changes} = await this.#write(() => {
			const row = newRow(key, holder, duration);
			return this.#statements.lock.run({...row, now: row.kept});
		});
		return Number(changes) > 0 ? () => this.compareAndDelete(key, holder) : undefined;
	}

	async clear(): Promise<void> {
		await this.#write(() => this.#statements.clear.run({prefix: prefixOf(this.namespace)}));
	}

	async *iterator<Value>(
		namespace?: string,
	): AsyncGenerator<Array<string | Awaited<Value> | undefined>, void> {
		for (const row of this.#statements.all.all({prefix: prefixOf(namespace), now: Date.now()})) {
			yield [row.key as string, row.value as Awaited<Value>];
		}
	}

	async disconnect(): Promise<void> {
		if (this.#database.isOpen) this.#database.close();
	}

	/** What deletes while this waits for its turn is done with it, too. */
	async #erase(): Promise<void> {
		await this.#write(() => {
			this.#erasure = undefined;
			const {busy} = this.#statements.checkpoint.get() as {busy: number};
			if (busy !== 0) throw new FileIsLocked('Another process reads the file');
		});
		removeDamaged(this.#file);
	}

	#write<Result>(work: () => Result): Promise<Result> {
		const result = this.#lastWrite.then(() => whenFree(work));
		this.#lastWrite = result.catch(() => {});
		return result;
	}

	/** What has expired is of no use to anyone; without this the file would only grow. */
	#sweepIfDue(): void {
		this.#writesUntilSweep -= 1;
		if (this.#writesUntilSweep > 0 && performance.now() < this.#sweptAt + longestUnswept) return;
		this.#writesUntilSweep = writesPerSweep;
		this.#sweptAt = performance.now();
		this.#write(() => this.#statements.sweep.run({now: Date.now()})).catch(() => {});
	}
}

function newRow(key: string, value: string, ttl: number | undefined) {
	const kept = Date.now();
	return {key, value, kept, expires: ttl === undefined ? null : kept + Math.ceil(ttl)};
}

function prefixOf(namespace: string | undefined): string {
	return namespace === undefined ? '' : `${namespace}:`;
}

function prepare(database: DatabaseSync): Statements {
	const entries = 'gatepass_entries';
	const inNamespace = 'substr(key, 1, length(:prefix)) = :prefix';
	const insert = `INTO ${entries} (key, value, kept, expires) VALUES (:key, :value, :kept, :expires)`;
	return {
		get: database.prepare(`SELECT value FROM ${entries} WHERE key = :key AND ${isAlive}`),
		set: database.prepare(`INSERT OR REPLACE ${insert}`),
		lock: database.prepare(
			`INSERT ${insert}
			ON CONFLICT (key) DO UPDATE SET value = excluded.value, kept = excluded.kept, expires = excluded.expires
			WHERE NOT (${isAlive}) OR value = excluded.value`,
		),
		delete: database.prepare(`DELETE FROM ${entries} WHERE key = :key`),
		compareAndDelete: database.prepare(`DELETE FROM ${entries} WHERE key = :key AND value = :value`),
		clear: database.prepare(`DELETE FROM ${entries} WHERE ${inNamespace}`),
		all: database.prepare(`SELECT key, value FROM ${entries} WHERE ${inNamespace} AND ${isAlive}`),
		sweep: database.prepare(`DELETE FROM ${entries} WHERE expires <= :now`),
		checkpoint: database.prepare('PRAGMA wal_checkpoint(TRUNCATE)'),
	};
}
