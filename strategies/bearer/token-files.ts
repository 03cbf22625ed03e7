/** Files that hold a token, read again when they have changed: whoever renews the token writes a new one. */
import {readFileSync, type Stats, statSync} from 'node:fs';
import {CredentialUnavailableError} from '../../src/errors.ts';

/** Real tokens have a few kilobytes. */
const largestFile = 1024 * 1024;

interface ReadFile {
	readonly version: string;
	readonly text: string;
}

export class TokenFiles {
	readonly #read = new Map<string, ReadFile>();

	/**
	 * The text of a file. That it has not changed is seen without reading it.
	 *
	 * @param check sees what is known of the file before it is read, and may throw.
	 * @throws {CredentialUnavailableError} where it is too large for a token.
	 * @throws what the file system says, where it cannot be read.
	 */
	read(file: string, check?: (information: Stats) => void): string {
		const information = statSync(file);
		const {mtimeMs, ctimeMs, ino, size} = information;
		if (size > largestFile) {
			throw new CredentialUnavailableError({
				code: 'token-file-unusable',
				what: `${file} has ${size} bytes, too many for a token`,
				hint: 'Name another file',
			});
		}
		check?.(information);
		const version = `${mtimeMs} ${ctimeMs} ${ino} ${size}`;
		const known = this.#read.get(file);
		if (known?.version === version) return known.text;
		const text = readFileSync(file, 'utf8');
		this.#read.set(file, {version, text});
		return text;
	}
}
