/**
 * Fetched revocation lists on disk, so that after a restart nobody waits for them, and their server may be away. They are
 * signed and known to everybody, so nothing about them is secret; what cannot be kept is fetched again.
 */
import {createHash} from 'node:crypto';
import {mkdir, readdir, rm, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {readBounded} from '../files/bounded-read.ts';
import {isLeftBehind, replaceFile} from '../files/durable.ts';

/** The largest lists of CAs of the grid have some megabytes. */
export const largestList = 64 * 1024 * 1024;

/** Milliseconds after which a list that was not fetched again is removed: nobody asks for it any more. */
const unusedAfter = 60 * 86_400_000;

const ending = '.crl';

export interface CachedList {
	readonly file: string;
	readonly bytes: Buffer;
	/** Milliseconds since 1970. */
	readonly fetchedAt: number;
}

export class ListCache {
	readonly #folder: string;
	#isTidy = false;

	/** @param folder made when the first list is written. */
	constructor(folder: string) {
		this.#folder = folder;
	}

	/** The list that was kept under this name; `undefined` where there is none that can be read. */
	async read(name: string): Promise<CachedList | undefined> {
		const file = this.#fileOf(name);
		try {
			const {bytes, status} = await readBounded(file, largestList);
			return {file, bytes, fetchedAt: Number(status.mtimeMs)};
		} catch {
			return undefined;
		}
	}

	/** Keep a list. Where that cannot be done, nothing is lost but time. */
	async write(name: string, bytes: Buffer): Promise<void> {
		try {
			await mkdir(this.#folder, {recursive: true, mode: 0o700});
			await replaceFile(this.#fileOf(name), bytes, 0o600);
			if (this.#isTidy) return;
			this.#isTidy = true;
			await this.#removeUnused();
		} catch {
			// A home that may not be written to, or a full disk.
		}
	}

	#fileOf(name: string): string {
		const hash = createHash('sha256').update(name).digest('hex');
		return join(this.#folder, `${hash.slice(0, 32)}${ending}`);
	}

	async #removeUnused(): Promise<void> {
		for (const name of await readdir(this.#folder)) {
			const file = join(this.#folder, name);
			const isOld = name.endsWith(ending) && Date.now() - (await stat(file)).mtimeMs > unusedAfter;
			if (isOld || isLeftBehind(name)) await rm(file, {force: true});
		}
	}
}
