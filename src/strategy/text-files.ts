/** Files that hold a credential, read again when they have changed: whoever renews it writes a new one. */
import type {BigIntStats} from 'node:fs';
import {readBoundedSync} from '../files/bounded-read.ts';
import {stampOfSync} from '../files/stamp.ts';

export {FileReadError, type ReadFailure} from '../files/bounded-read.ts';

/** Bytes. Real credentials have a few kilobytes. */
const largestFile = 1024 * 1024;

interface ReadFile {
	/** How the file stood when it was read; `undefined`: it may have changed since without a trace. */
	readonly stamp: string | undefined;
	readonly text: string;
}

/** Reads regular files of at most 1 MiB, and nothing else: a pipe could keep everybody waiting. */
export class TextFiles {
	readonly #read = new Map<string, ReadFile>();

	/**
	 * The text of a file. That it has not changed is seen without reading it.
	 *
	 * @param check sees owner and mode of the file before its text is used, and may throw.
	 * @throws {FileReadError} where it cannot be read.
	 */
	read(file: string, check?: (status: BigIntStats) => void): string {
		const known = this.#read.get(file);
		if (known?.stamp !== undefined && stampOfSync(file).text === known.stamp) return known.text;
		this.#read.delete(file);
		const {bytes, status, stamp} = readBoundedSync(file, largestFile);
		check?.(status);
		const text = bytes.toString('utf8');
		this.#read.set(file, {stamp: stamp.isSettled ? stamp.text : undefined, text});
		return text;
	}
}
