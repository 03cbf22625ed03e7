/** Files that hold what requests are signed with, read again when they have changed. */
import {KeptFile} from '../../src/strategy/index.ts';

/** Bytes. Real ones have a few kilobytes. */
const largestFile = 1024 * 1024;

export class TextFiles {
	readonly #files = new Map<string, KeptFile<string>>();

	/** @throws {FileReadError} where there is no such file, or it cannot be read. */
	read(file: string): string {
		let kept = this.#files.get(file);
		if (kept === undefined) {
			kept = new KeptFile(file, {largest: largestFile, parse: bytes => bytes.toString('utf8'), interval: 0});
			this.#files.set(file, kept);
		}
		return kept.readCurrent();
	}
}
