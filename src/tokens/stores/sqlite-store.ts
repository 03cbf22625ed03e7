/**
 * A keyv store in one sqlite file, over Node's built-in `node:sqlite`.
 *
 * Many processes may use the file at once: it is in write-ahead mode (https://sqlite.org/wal.html), every write is
 * one statement, and a writer waits for another one. Only the user may read it: 0600, in a folder that is 0700; a
 * folder that is there already is left as it is, unless it is gatepass's own.
 * A file that is damaged is put aside (`.damaged`) and begun again: what is lost can be issued again.
 */
import {EventEmitter} from 'node:events';
import {chmodSync, closeSync, mkdirSync, openSync, renameSync, rmSync, statSync} from 'node:fs';
import {basename, dirname} from 'node:path';
import {performance} from 'node:perf_hooks';
import type {DatabaseSync, StatementSync} from 'node:sqlite';
import type {KeyvStoreAdapter, StoredData} from 'keyv';
import type {Leases} from '../token-store.ts';
import {loadSqlite} from './load-sqlite.ts';
import {isBusy, whenFree} from './sqlite-busy.ts';
import {createSqliteLeases} from './sqlite-leases.ts';

/** Milliseconds that opening waits for other processes. They are all busy with the same when the file is new. */
const openingTimeout = 5000;
/** Milliseconds that a statement waits while nothing else can run in this process; after that, `whenFree` waits. */
const blockingTimeout = 20;

const schema = `
	CREATE TABLE IF NOT EXISTS keyv (key TEXT PRIMARY KEY, value TEXT NOT NULL, expires INTEGER) STRICT, WITHOUT ROWID;
	CREATE INDEX IF NOT EXISTS keyv_expires ON keyv (expires) WHERE expires IS NOT NULL;
`;

type Statements = Record<
	'get' | 'set' | 'delete' | 'deleteIfEqual' | 'clear' | 'all' | 'expire',
	StatementSync
>;

export class SqliteStore extends EventEmitter implements KeyvStoreAdapter {
	readonly opts: {url: string};
	namespace?: string | undefined;
	readonly leases: Leases;
	readonly #database: DatabaseSync;
	readonly #statements: Statements;
	/** Writes go one after the other: one that had to wait must not undo a later one. */
	#lastWrite: Promise<unknown> = Promise.resolve();

	constructor(file: string) {
		super();
		this.opts = {url: `sqlite:${file}`};
		this.#database = open(file);
		try {
			this.#statements = prepare(this.#database);
			this.leases = createSqliteLeases(this.#database);
			// What has expired is of no use to anyone; without this the file would only grow.
			this.#write(() => this.#statements.expire.run(Date.now())).catch(() => {});
		} catch (error) {
			this.#database.close();
			throw error;
		}
	}

	async get<Value>(key: string): Promise<StoredData<Value> | undefined> {
		const row = this.#statements.get.get(key, Date.now());
		return row?.value as StoredData<Value> | undefined;
	}

	async getMany<Value>(keys: string[]): Promise<Array<StoredData<Value | undefined>>> {
		return Promise.all(keys.map(async key => this.get<Value>(key)));
	}

	async set(key: string, value: string, ttl?: number): Promise<void> {
		const expires = expiry(ttl);
		await this.#write(() => this.#statements.set.run(key, value, expires));
	}

	async setMany(values: Array<{key: string; value: string; ttl?: number}>): Promise<void> {
		await this.#write(() => {
			this.#database.exec('BEGIN IMMEDIATE');
			try {
				for (const {key, value, ttl} of values) this.#statements.set.run(key, value, expiry(ttl));
				this.#database.exec('COMMIT');
			} catch (error) {
				this.#database.exec('ROLLBACK');
				throw error;
			}
		});
	}

	async delete(key: string): Promise<boolean> {
		const {changes} = await this.#write(() => this.#statements.delete.run(key));
		return Number(changes) > 0;
	}

	/** Delete the entry only if it is still this text: one statement. */
	async deleteIfEqual(key: string, stored: string): Promise<boolean> {
		const {changes} = await this.#write(() => this.#statements.deleteIfEqual.run(key, stored));
		return Number(changes) > 0;
	}

	async deleteMany(keys: string[]): Promise<boolean> {
		const results = await Promise.all(keys.map(async key => this.delete(key)));
		return results.every(Boolean);
	}

	async clear(): Promise<void> {
		const prefix = this.namespace === undefined ? '' : `${this.namespace}:`;
		await this.#write(() => this.#statements.clear.run(prefix));
	}

	async has(key: string): Promise<boolean> {
		return (await this.get(key)) !== undefined;
	}

	async *iterator<Value>(
		namespace?: string,
	): AsyncGenerator<Array<string | Awaited<Value> | undefined>, void> {
		const prefix = namespace === undefined ? '' : `${namespace}:`;
		for (const row of this.#statements.all.all(prefix, Date.now())) {
			yield [row.key as string, row.value as Awaited<Value>];
		}
	}

	async disconnect(): Promise<void> {
		if (this.#database.isOpen) this.#database.close();
	}

	#write<Result>(work: () => Result): Promise<Result> {
		const result = this.#lastWrite.then(() => whenFree(work));
		this.#lastWrite = result.catch(() => {});
		return result;
	}
}

function expiry(ttl: number | undefined): number | null {
	return ttl === undefined ? null : Date.now() + Math.ceil(ttl);
}

function open(file: string): DatabaseSync {
	const folder = dirname(file);
	mkdirSync(folder, {recursive: true, mode: 0o700});
	if (basename(folder) === 'gatepass') tighten(folder, 0o700);
	const inode = inodeOf(file);
	try {
		return openChecked(file);
	} catch (error) {
		if (!isDamage(error)) throw error;
		putAside(file, inode);
		return openChecked(file);
	}
}

function openChecked(file: string): DatabaseSync {
	// Made here, so that it never has other rights, not even for a moment. sqlite gives its -wal and -shm the same.
	closeSync(openSync(file, 'a', 0o600));
	tighten(file, 0o600);
	const {DatabaseSync} = loadSqlite();
	const database = new DatabaseSync(file);
	try {
		database.exec(`PRAGMA busy_timeout = ${openingTimeout}`);
		useWriteAheadLog(database);
		database.exec('PRAGMA synchronous = NORMAL');
		database.exec(schema);
		// A truncated file opens well and fails at some later read: find out now.
		const [{quick_check: verdict} = {}] = database.prepare('PRAGMA quick_check(1)').all();
		if (verdict !== 'ok') throw Object.assign(new Error('The file is damaged'), {errcode: corrupt});
		database.exec(`PRAGMA busy_timeout = ${blockingTimeout}`);
		return database;
	} catch (error) {
		database.close();
		throw error;
	}
}

/** Take away what others may do. */
function tighten(path: string, mode: number): void {
	if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, mode);
}

/** Changing the mode needs the file alone and does not wait for others, so a few tries are made. */
function useWriteAheadLog(database: DatabaseSync): void {
	const deadline = performance.now() + openingTimeout;
	for (;;) {
		try {
			database.exec('PRAGMA journal_mode = WAL');
			return;
		} catch (error) {
			if (!isBusy(error) || performance.now() > deadline) throw error;
			Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
		}
	}
}

function prepare(database: DatabaseSync): Statements {
	const inNamespace = 'substr(key, 1, length(?1)) = ?1';
	return {
		get: database.prepare('SELECT value FROM keyv WHERE key = ? AND (expires IS NULL OR expires > ?)'),
		set: database.prepare('INSERT OR REPLACE INTO keyv (key, value, expires) VALUES (?, ?, ?)'),
		delete: database.prepare('DELETE FROM keyv WHERE key = ?'),
		deleteIfEqual: database.prepare('DELETE FROM keyv WHERE key = ? AND value = ?'),
		clear: database.prepare(`DELETE FROM keyv WHERE ${inNamespace}`),
		all: database.prepare(
			`SELECT key, value FROM keyv WHERE ${inNamespace} AND (expires IS NULL OR expires > ?2)`,
		),
		expire: database.prepare('DELETE FROM keyv WHERE expires <= ?'),
	};
}

/** SQLITE_CORRUPT and SQLITE_NOTADB, https://sqlite.org/rescode.html */
const corrupt = 11;
const notADatabase = 26;

function isDamage(error: unknown): boolean {
	const {errcode} = error as {errcode?: number};
	return errcode !== undefined && [corrupt, notADatabase].includes(errcode & 0xff);
}

/** Another process may have found the damage first: only the file that was seen damaged is moved. */
function putAside(file: string, inode: bigint | undefined): void {
	if (inode === undefined || inodeOf(file) !== inode) return;
	renameSync(file, `${file}.damaged`);
	for (const companion of ['-wal', '-shm']) rmSync(`${file}${companion}`, {force: true});
}

function inodeOf(file: string): bigint | undefined {
	return statSync(file, {bigint: true, throwIfNoEntry: false})?.ino;
}
