/** A file that may change: read when it is needed, and again when it has changed. */
import {closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync} from 'node:fs';

/** Milliseconds for which a look at a file holds. */
const lookAgainAfter = 1000;

/** Without `O_NONBLOCK`, opening a named pipe would wait for somebody to write into it. */
const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** What tells one version of a file from another; `undefined` where there is no file. */
export function versionOf(file: string): string | undefined {
	const status = statSync(file, {throwIfNoEntry: false});
	return status === undefined ? undefined : describe(status);
}

function describe({dev, ino, size, mtimeMs, ctimeMs}: Stats): string {
	return [dev, ino, size, mtimeMs, ctimeMs].join(' ');
}

/**
 * The content of one file, taken apart. It is looked at once a second at most. What is broken now takes the place of
 * nothing that was right before: a file may be half written.
 */
export class WatchedFile<Content> {
	readonly file: string;
	readonly #largest: number;
	readonly #parse: (bytes: Buffer, file: string) => Content;
	#lookedAt = Number.NEGATIVE_INFINITY;
	#version: string | undefined;
	#content: Content | undefined;
	#failure: Error | undefined;

	/** @param largest how many bytes it may have at most. */
	constructor(file: string, largest: number, parse: (bytes: Buffer, file: string) => Content) {
		this.file = file;
		this.#largest = largest;
		this.#parse = parse;
	}

	/**
	 * What it holds; `undefined` where there is no such file.
	 *
	 * @throws what went wrong, where it has never been right.
	 */
	read(): Content | undefined {
		const now = performance.now();
		if (now - this.#lookedAt >= lookAgainAfter) {
			this.#lookedAt = now;
			this.#lookAgain();
		}
		if (this.#content === undefined && this.#failure !== undefined) throw this.#failure;
		return this.#content;
	}

	/** What is wrong with the file as it is now; what it held before is still in use then. */
	get failure(): Error | undefined {
		return this.#failure;
	}

	#lookAgain(): void {
		try {
			const version = versionOf(this.file);
			if (version !== undefined && version === this.#version) return;
			this.#version = version;
			this.#content =
				version === undefined ? undefined : this.#parse(readWhole(this.file, this.#largest), this.file);
			this.#failure = undefined;
		} catch (error) {
			this.#failure = error as Error;
		}
	}
}

/** The content of a file that has `largest` bytes at most. Throws an error that says in half a sentence why not. */
export function readWhole(file: string, largest: number): Buffer {
	const descriptor = openSync(file, flags);
	try {
		const status = fstatSync(descriptor);
		if (!status.isFile()) throw new Error('is not a file');
		if (status.size > largest) throw new Error(`has ${status.size} bytes, and at most ${largest} are read`);
		const bytes = Buffer.allocUnsafe(status.size);
		let length = 0;
		while (length < bytes.length) {
			const bytesRead = readSync(descriptor, bytes, length, bytes.length - length, length);
			if (bytesRead === 0) break;
			length += bytesRead;
		}
		return bytes.subarray(0, length);
	} finally {
		closeSync(descriptor);
	}
}
