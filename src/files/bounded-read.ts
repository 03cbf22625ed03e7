/**
 * Reads regular files up to a size. Nothing else is opened, let alone read: a pipe could wait for ever, a device go on
 * without end.
 */
import {type BigIntStats, closeSync, constants, fstatSync, openSync, readSync, statSync} from 'node:fs';
import {type FileHandle, open, stat} from 'node:fs/promises';
import {type FileStamp, stampFrom} from './stamp.ts';

/** Should a pipe take the file's place between look and opening, that must not wait for somebody to write into it. */
const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0) | (constants.O_NOCTTY ?? 0);

/** A first piece for files that tell no size, such as those of Linux' /proc. */
const firstPiece = 64 * 1024;

/** What a file holds, and what was known of it when it was read. */
export interface FileContent {
	readonly bytes: Buffer;
	/** Owner, mode and times of the file that was read, also where a link is being replaced. */
	readonly status: BigIntStats;
	/** Not settled where the file has changed while it was read. */
	readonly stamp: FileStamp;
}

/**
 * Why a file was not read:
 *
 * - `missing`: there is none of that name, or a link leads nowhere; `circle`: a link leads to itself
 * - `folder`, `special` (a pipe, a device, a socket): it is no regular file
 * - `too large`; `growing`: somebody writes to it
 * - `unreadable`: the operating system says no
 * - `silent`: it says nothing, as where a network file system hangs
 */
export type ReadFailure =
	| 'missing'
	| 'circle'
	| 'folder'
	| 'special'
	| 'too large'
	| 'growing'
	| 'unreadable'
	| 'silent';

/** A file was not read. The message is the rest of a sentence that begins with the file's name. */
export class FileReadError extends Error {
	readonly file: string;
	readonly reason: ReadFailure;
	/** The operating system's, where it is the one that says no. */
	readonly code: string | undefined;
	/** Where it is too large: how large it is, in words, such as `more than 1024`. */
	readonly size: string | undefined;

	constructor(
		file: string,
		reason: ReadFailure,
		message: string,
		{cause, size}: {cause?: unknown; size?: string} = {},
	) {
		super(message, cause === undefined ? {} : {cause});
		this.file = file;
		this.reason = reason;
		this.code = (cause as NodeJS.ErrnoException | undefined)?.code;
		this.size = size;
	}
}

/**
 * The content of a file of at most `largest` bytes.
 *
 * @throws {FileReadError} where that is not to be had.
 */
export async function readBounded(file: string, largest: number): Promise<FileContent> {
	try {
		check(file, await stat(file, {bigint: true}), largest);
		const handle = await open(file, flags);
		try {
			return await readHandle(file, handle, largest);
		} finally {
			await handle.close();
		}
	} catch (error) {
		throw explained(file, error);
	}
}

async function readHandle(file: string, handle: FileHandle, largest: number): Promise<FileContent> {
	const status = await handle.stat({bigint: true});
	check(file, status, largest);
	let bytes: Buffer = Buffer.allocUnsafe(roomFor(status, largest));
	for (let length = 0; ; ) {
		const {bytesRead} = await handle.read(bytes, length, bytes.length - length, length);
		length += bytesRead;
		if (bytesRead === 0) {
			return content(bytes.subarray(0, length), status, await handle.stat({bigint: true}));
		}
		if (length === bytes.length) bytes = enlarged(file, bytes, status, largest);
	}
}

/** As {@link readBounded}, for those who cannot wait. */
export function readBoundedSync(file: string, largest: number): FileContent {
	try {
		check(file, statSync(file, {bigint: true}), largest);
		const descriptor = openSync(file, flags);
		try {
			return readDescriptor(file, descriptor, largest);
		} finally {
			closeSync(descriptor);
		}
	} catch (error) {
		throw explained(file, error);
	}
}

function readDescriptor(file: string, descriptor: number, largest: number): FileContent {
	const status = fstatSync(descriptor, {bigint: true});
	check(file, status, largest);
	let bytes: Buffer = Buffer.allocUnsafe(roomFor(status, largest));
	for (let length = 0; ; ) {
		const bytesRead = readSync(descriptor, bytes, length, bytes.length - length, length);
		length += bytesRead;
		if (bytesRead === 0) {
			return content(bytes.subarray(0, length), status, fstatSync(descriptor, {bigint: true}));
		}
		if (length === bytes.length) bytes = enlarged(file, bytes, status, largest);
	}
}

function check(file: string, status: BigIntStats, largest: number): void {
	if (status.isDirectory()) throw new FileReadError(file, 'folder', 'is not a file but a folder');
	if (!status.isFile()) throw new FileReadError(file, 'special', `is not a file but ${kindOf(status)}`);
	if (status.size > largest) throw tooLarge(file, `${status.size}`, largest);
}

function kindOf(status: BigIntStats): string {
	if (status.isFIFO()) return 'a named pipe';
	if (status.isSocket()) return 'a socket';
	return 'a device';
}

/** A little more than the file should have, so that one that grows is noticed. */
function roomFor({size}: BigIntStats, largest: number): number {
	return size === 0n ? Math.min(firstPiece, largest + 1) : Number(size) + 1;
}

/** More room, for a file that told no size. */
function enlarged(file: string, bytes: Buffer, {size}: BigIntStats, largest: number): Buffer {
	if (size > 0n) throw new FileReadError(file, 'growing', 'grew while it was read');
	if (bytes.length > largest) throw tooLarge(file, `more than ${largest}`, largest);
	return Buffer.concat([bytes], Math.min(bytes.length * 2, largest + 1));
}

function content(bytes: Buffer, before: BigIntStats, after: BigIntStats): FileContent {
	const stamp = stampFrom(before);
	const isUnchanged = stamp.text === stampFrom(after).text;
	return {bytes, status: before, stamp: isUnchanged ? stamp : {...stamp, isSettled: false}};
}

function tooLarge(file: string, size: string, largest: number): FileReadError {
	return new FileReadError(file, 'too large', `has ${size} bytes, and at most ${largest} are read`, {size});
}

function explained(file: string, error: unknown): unknown {
	const {code} = error as NodeJS.ErrnoException;
	if (error instanceof FileReadError || code === undefined) return error;
	switch (code) {
		case 'ENOENT':
		case 'ENOTDIR':
			return new FileReadError(file, 'missing', 'does not exist', {cause: error});
		case 'ELOOP':
			return new FileReadError(file, 'circle', 'is a symbolic link that leads back to itself', {
				cause: error,
			});
		default:
			return new FileReadError(file, 'unreadable', `cannot be read (${code})`, {cause: error});
	}
}
