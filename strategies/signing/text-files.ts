/** Files that hold what requests are signed with, read again when they have changed. */
import {KeptFile} from '../../src/strategy/index.ts';

/** Bytes. Real ones have a few kilobytes. */
const largestFile = 1024 * 1024;

export class TextFiles {
	readonly #files = new Map<string, KeptFile<string>>();

	/**
	 * The text of a file as it is now. A file system that hangs holds up nobody else.
	 *
	 * @throws {FileReadError} where there is no such file, or it cannot be read.
	 */
	async read(file: string): Promise<string> {
		let kept = this.#files.get(file);
		if (kept === undefined) {
			kept = new KeptFile(file, {largest: largestFile, parse: bytes => bytes.toString('utf8'), interval: 0});
			this.#files.set(file, kept);
		}
		return kept.current();
	}
}
