/**
 * Opens the sqlite file of tokens: private, in write-ahead mode (https://sqlite.org/wal.html), with its table. A file that
 * is damaged is put aside (`.damaged`) and begun again: what is lost can be issued again.
 */
import {renameSync, rmSync} from 'node:fs';
import type {DatabaseSync} from 'node:sqlite';
import {loadSqlite} from './load-sqlite.ts';
import {
	claimPrivateFile,
	companions,
	inodeOf,
	preparePrivateFolder,
	recheckPrivateFile,
} from './private-file.ts';
import {whenFreeSync} from './sqlite-busy.ts';

/** Milliseconds that opening waits for other processes. They are all busy with the same when the file is new. */
const openingTimeout = 5000;
/** Milliseconds that a statement waits while nothing else can run in this process; after that, `whenFree` waits. */
const blockingTimeout = 20;

/** The index is for the sweeping. */
const schema = `
	CREATE TABLE IF NOT EXISTS gatepass_entries (
		key TEXT PRIMARY KEY, expires INTEGER, kept INTEGER NOT NULL, value TEXT NOT NULL
	) STRICT, WITHOUT ROWID;
	CREATE INDEX IF NOT EXISTS gatepass_entries_expires ON gatepass_entries (expires) WHERE expires IS NOT NULL;
`;

/** @throws {TokenCacheError} where the file is not this user's alone. */
export function openSqliteFile(path: string): DatabaseSync {
	preparePrivateFolder(path);
	const inode = inodeOf(path);
	try {
		return openChecked(path);
	} catch (error) {
		if (!isDamage(error)) throw error;
		putAside(path, inode);
		return openChecked(path);
	}
}

/** Remove what was put aside when it was damaged: it may hold tokens, too. */
export function removeDamaged(path: string): void {
	rmSync(damaged(path), {force: true});
}

function openChecked(path: string): DatabaseSync {
	const file = claimPrivateFile(path);
	const {DatabaseSync} = loadSqlite();
	const database = new DatabaseSync(path);
	try {
		database.exec(`PRAGMA busy_timeout = ${openingTimeout}`);
		// This alone does not wait for others by itself.
		whenFreeSync(() => database.exec('PRAGMA journal_mode = WAL'));
		database.exec('PRAGMA synchronous = NORMAL');
		// What is deleted is overwritten.
		database.exec('PRAGMA secure_delete = ON');
		database.exec(schema);
		recheckPrivateFile(file);
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

/** SQLITE_CORRUPT and SQLITE_NOTADB, https://sqlite.org/rescode.html */
const corrupt = 11;
const notADatabase = 26;

function isDamage(error: unknown): boolean {
	const {errcode} = error as {errcode?: number};
	return errcode !== undefined && [corrupt, notADatabase].includes(errcode & 0xff);
}

/** Another process may have found the damage first: only the file that was seen damaged is moved. */
function putAside(path: string, inode: bigint | undefined): void {
	if (inode === undefined || inodeOf(path) !== inode) return;
	renameSync(path, damaged(path));
	for (const companion of companions) rmSync(`${path}${companion}`, {force: true});
}

function damaged(path: string): string {
	return `${path}.damaged`;
}
