/**
 * Reads the files of Kerberos as far as they are files: the libraries would wait at a pipe for somebody to write
 * into it, and read a device without end.
 */
import {closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync} from 'node:fs';

/** Bytes. A key has some hundred at most, a ticket some thousand. */
const largestFile = 16 * 1024 * 1024;

/** Should a pipe take the file's place between look and opening, that must not wait either. */
const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

/** The file is nothing to read. The message is the rest of a sentence that begins with its name. */
export class NoRegularFile extends Error {}

/**
 * Throws a `NoRegularFile` where something else than a file of bearable size is there. What is not there, or may not be
 * looked at, is told by whoever opens it.
 */
export function checkRegular(path: string): void {
	let status: Stats | undefined;
	try {
		status = statSync(path, {throwIfNoEntry: false});
	} catch {
		return;
	}
	if (status !== undefined) check(status);
}

/** The first bytes, `most` of them at most; without `most`, all. */
export function readRegular(path: string, most?: number): Buffer {
	check(statSync(path));
	const file = openSync(path, flags);
	try {
		const status = fstatSync(file);
		check(status);
		const bytes = Buffer.alloc(most ?? status.size);
		let length = 0;
		while (length < bytes.length) {
			const count = readSync(file, bytes, length, bytes.length - length, length);
			if (count === 0) break;
			length += count;
		}
		return bytes.subarray(0, length);
	} finally {
		closeSync(file);
	}
}

function check(status: Stats): void {
	if (status.isDirectory()) throw new NoRegularFile('is not a file but a folder');
	if (!status.isFile()) throw new NoRegularFile(`is not a file but ${kindOf(status)}`);
	if (status.size <= largestFile) return;
	throw new NoRegularFile(`has ${status.size} bytes, and at most ${largestFile} are read`);
}

function kindOf(status: Stats): string {
	if (status.isFIFO()) return 'a named pipe';
	if (status.isSocket()) return 'a socket';
	return 'a device';
}
