/** What a file says, kept until the file changes: read when it is needed, and again when it has changed. */
import {createHash} from 'node:crypto';
import type {BigIntStats} from 'node:fs';
import {FileReadError, readBoundedSync} from './bounded-read.ts';
import {stampOfSync} from './stamp.ts';

/** How the value of a file is made, and how often the file is looked at. */
export interface KeptFileSettings<Value> {
	/** Bytes that it may have at most. */
	readonly largest: number;
	/** Makes of the bytes, and of owner and mode, what is kept. */
	readonly parse: (bytes: Buffer, file: string, status: BigIntStats) => Value;
	/** Milliseconds for which a look at the file holds. Default: 1000. */
	readonly interval?: number;
}

/**
 * The value of one file. What is broken now takes the place of nothing that was right before: a file may be half written.
 * Where bytes, owner and mode are the same as before, so is the value.
 */
export class KeptFile<Value> {
	readonly file: string;
	readonly #settings: KeptFileSettings<Value>;
	#lookedAt = Number.NEGATIVE_INFINITY;
	/** How the file stood when it was read; `undefined`: it may have changed since without a trace. */
	#stamp: string | undefined;
	#digest: string | undefined;
	#value: Value | undefined;
	#failure: Error | undefined;

	constructor(file: string, settings: KeptFileSettings<Value>) {
		this.file = file;
		this.#settings = settings;
	}

	/**
	 * What it holds, or held last; `undefined` where there is no such file.
	 *
	 * @throws what went wrong, where it has never been right.
	 */
	read(): Value | undefined {
		this.#look();
		const failure = this.failure;
		if (this.#value === undefined && failure !== undefined) throw failure;
		return this.#value;
	}

	/**
	 * What it holds now.
	 *
	 * @throws {FileReadError} where there is no such file, or it cannot be read.
	 * @throws what `parse` throws.
	 */
	readCurrent(): Value {
		this.#look();
		if (this.#failure !== undefined) throw this.#failure;
		return this.#value as Value;
	}

	/** What is wrong with the file as it is now; what it held before is still in use then. */
	get failure(): Error | undefined {
		return isMissing(this.#failure) ? undefined : this.#failure;
	}

	#look(): void {
		const now = performance.now();
		if (now - this.#lookedAt < (this.#settings.interval ?? 1000)) return;
		this.#lookedAt = now;
		if (this.#stamp !== undefined && stampOfSync(this.file).text === this.#stamp) return;
		// Whatever cannot be read for now is tried again the next time.
		this.#stamp = undefined;
		try {
			const {bytes, status, stamp} = readBoundedSync(this.file, this.#settings.largest);
			this.#take(bytes, status);
			if (stamp.isSettled) this.#stamp = stamp.text;
		} catch (error) {
			this.#digest = undefined;
			this.#failure = error as Error;
			if (isMissing(error)) this.#value = undefined;
		}
	}

	#take(bytes: Buffer, status: BigIntStats): void {
		const digest = createHash('sha256')
			.update(`${status.uid} ${status.mode} `)
			.update(bytes)
			.digest('base64');
		if (digest === this.#digest) return;
		// What cannot be taken apart is not tried again until it is other bytes.
		this.#digest = digest;
		try {
			this.#value = this.#settings.parse(bytes, this.file, status);
			this.#failure = undefined;
		} catch (error) {
			this.#failure = error as Error;
		}
	}
}

function isMissing(error: unknown): boolean {
	return error instanceof FileReadError && error.reason === 'missing';
}
