/**
 * A file that is this user's alone, before a token is written to it. One that others may read is narrowed; one that
 * belongs to somebody else, or is no regular file, is refused. Nothing is done through a symbolic link.
 *
 * A file that is private already is not opened here: to close it would take the locks from under another connection of
 * this process (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
 */
import {
	type BigIntStats,
	closeSync,
	constants,
	fchmodSync,
	fstatSync,
	lstatSync,
	mkdirSync,
	openSync,
	statSync,
} from 'node:fs';
import {basename, dirname} from 'node:path';
import process from 'node:process';
import {TokenCacheError} from '../../errors.ts';

const {O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR} = constants;

/** What sqlite keeps beside its file, under the same rights: https://sqlite.org/tempfiles.html */
export const companions = ['-wal', '-shm', '-journal'];

/** A file that was found to be private, and which one it was. */
export interface PrivateFile {
	readonly path: string;
	readonly inode: bigint;
}

/** Make the folder of a file. One that is there is left as it is, unless it is gatepass's own. */
export function preparePrivateFolder(file: string): void {
	const folder = dirname(file);
	mkdirSync(folder, {recursive: true, mode: 0o700});
	if (!hasOwners()) return;
	const isOwn = basename(folder) === 'gatepass' && !lstatSync(folder).isSymbolicLink();
	if (isOwn && isWide(statSync(folder, {bigint: true}))) narrow(folder, () => {});
}

/** Make the file where it is missing: it never has other rights than 0600, not even for a moment. */
export function claimPrivateFile(path: string): PrivateFile {
	let found = lstatSync(path, {bigint: true, throwIfNoEntry: false});
	if (found === undefined) {
		make(path);
		found = lstatSync(path, {bigint: true});
	}
	ensurePrivate(path, found);
	ensurePrivateCompanions(path);
	return {path, inode: found.ino};
}

/** Look again, once sqlite has opened it and made its companions. */
export function recheckPrivateFile({path, inode}: PrivateFile): void {
	if (inodeOf(path) !== inode) {
		throw new TokenCacheError({
			code: 'token-store-replaceable',
			what: `${path} was replaced while it was opened, so no token is written to it`,
			hint: "Look who else uses it, or name another file under 'cache.url'",
		});
	}
	ensurePrivateCompanions(path);
}

/** Which file is there, if any is. */
export function inodeOf(path: string): bigint | undefined {
	return lstatSync(path, {bigint: true, throwIfNoEntry: false})?.ino;
}

function make(path: string): void {
	try {
		closeSync(openSync(path, O_RDWR | O_CREAT | O_EXCL, 0o600));
	} catch (error) {
		// Another process was quicker.
		if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
	}
}

function ensurePrivateCompanions(path: string): void {
	for (const suffix of companions) {
		const companion = `${path}${suffix}`;
		const found = lstatSync(companion, {bigint: true, throwIfNoEntry: false});
		if (found !== undefined) ensurePrivate(companion, found);
	}
}

function ensurePrivate(path: string, stats: BigIntStats): void {
	refuse(path, stats);
	if (isWide(stats)) narrow(path, refuse);
}

/** Take away what others may do. Looked at again once it is open: it may have been replaced. */
function narrow(path: string, check: (path: string, stats: BigIntStats) => void): void {
	const descriptor = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	try {
		const stats = fstatSync(descriptor, {bigint: true});
		check(path, stats);
		fchmodSync(descriptor, Number(stats.mode & 0o700n));
	} finally {
		closeSync(descriptor);
	}
}

function refuse(path: string, stats: BigIntStats): void {
	if (!stats.isFile()) {
		throw new TokenCacheError({
			code: 'token-store-replaceable',
			what: `${path} is ${kindOf(stats)}, and tokens are kept in a regular file only`,
			hint: "Name the file itself, or another one, under 'cache.url'",
		});
	}
	if (hasOwners() && Number(stats.uid) !== process.geteuid?.()) {
		throw new TokenCacheError({
			code: 'token-store-replaceable',
			what: `${path} belongs to another user (number ${stats.uid}), so no token is written to it`,
			hint: "Remove it, or name another file under 'cache.url'",
		});
	}
}

function isWide({mode}: BigIntStats): boolean {
	return hasOwners() && (mode & 0o077n) !== 0n;
}

function kindOf(stats: BigIntStats): string {
	if (stats.isSymbolicLink()) return 'a symbolic link';
	if (stats.isDirectory()) return 'a folder';
	if (stats.isFIFO()) return 'a FIFO';
	return stats.isSocket() ? 'a socket' : 'a device';
}

/** Windows keeps rights in another way, and a user's folders from others by itself. */
function hasOwners(): boolean {
	return process.geteuid !== undefined;
}
