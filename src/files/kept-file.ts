/** What a file says, kept until the file changes: read when it is needed, and again when it has changed. */
import {createHash} from 'node:crypto';
import type {BigIntStats} from 'node:fs';
import {type FileContent, FileReadError, readBounded, readBoundedSync} from './bounded-read.ts';
import {LookInTime} from './look-in-time.ts';
import {stampOf, stampOfSync} from './stamp.ts';

/** How the value of a file is made, and how often the file is looked at. */
export interface KeptFileSettings<Value> {
	/** Bytes that it may have at most. */
	readonly largest: number;
	/** Makes of the bytes, and of owner and mode, what is kept. */
	readonly parse: (bytes: Buffer, file: string, status: BigIntStats) => Value;
	/** Milliseconds for which a look at the file holds. Default: 1000. */
	readonly interval?: number;
	/** Milliseconds that {@link KeptFile.current} waits for the file system. Default: 5000. */
	readonly patience?: number;
}

/** A file on this machine answers in less than one; one over a network that is slow, in some hundreds. */
const usualPatience = 5000;

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
	readonly #look: LookInTime;

	constructor(file: string, settings: KeptFileSettings<Value>) {
		this.file = file;
		this.#settings = settings;
		this.#look = new LookInTime(() => this.#lookLater(), settings.patience ?? usualPatience);
	}

	/**
	 * What it holds, or held last; `undefined` where there is no such file.
	 *
	 * @throws what went wrong, where it has never been right.
	 */
	read(): Value | undefined {
		this.#lookNow();
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
		this.#lookNow();
		if (this.#failure !== undefined) throw this.#failure;
		return this.#value as Value;
	}

	/**
	 * What it holds now, without holding up anybody else where its file system hangs: then it is what it held before, and
	 * nobody waits again until the file system has answered. Those who ask at the same time share one look.
	 *
	 * @throws {FileReadError} where there is no such file, it cannot be read, or nothing is known of it.
	 * @throws what `parse` throws.
	 */
	async current(): Promise<Value> {
		const {interval = 1000} = this.#settings;
		const isRecent = performance.now() - this.#lookedAt < interval;
		if (!isRecent && !(await this.#look.isDone())) {
			if (this.#value !== undefined) return this.#value;
			throw new FileReadError(this.file, 'silent', 'does not answer: its file system hangs');
		}
		if (this.#failure !== undefined) throw this.#failure;
		return this.#value as Value;
	}

	/** What it held when it was read last, without a look at it. */
	get last(): Value | undefined {
		return this.#value;
	}

	/** Whether the last look at it was done so many milliseconds ago at most. */
	wasLookedAt(interval: number): boolean {
		return performance.now() - this.#lookedAt < interval;
	}

	/** What is wrong with the file as it is now; what it held before is still in use then. */
	get failure(): Error | undefined {
		return isMissing(this.#failure) ? undefined : this.#failure;
	}

	#lookNow(): void {
		const now = performance.now();
		if (now - this.#lookedAt < (this.#settings.interval ?? 1000)) return;
		this.#lookedAt = now;
		if (this.#stamp !== undefined && stampOfSync(this.file).text === this.#stamp) return;
		// Whatever cannot be read for now is tried again the next time.
		this.#stamp = undefined;
		try {
			this.#keep(readBoundedSync(this.file, this.#settings.largest));
		} catch (error) {
			this.#fail(error);
		}
	}

	async #lookLater(): Promise<void> {
		const stamp = this.#stamp;
		if (stamp === undefined || (await stampOf(this.file)).text !== stamp) {
			this.#stamp = undefined;
			try {
				this.#keep(await readBounded(this.file, this.#settings.largest));
			} catch (error) {
				this.#fail(error);
			}
		}
		this.#lookedAt = performance.now();
	}

	#keep({bytes, status, stamp}: FileContent): void {
		this.#take(bytes, status);
		if (stamp.isSettled) this.#stamp = stamp.text;
	}

	#fail(error: unknown): void {
		this.#digest = undefined;
		this.#failure = error as Error;
		if (isMissing(error)) this.#value = undefined;
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
