/** Files that hold a token, read again when they have changed: whoever renews the token writes a new one. */
import type {BigIntStats} from 'node:fs';
import {CredentialUnavailableError} from '../../src/errors.ts';
import {FileReadError, KeptFile} from '../../src/strategy/index.ts';

/** Real tokens have a few kilobytes. */
const largestFile = 1024 * 1024;
/** No file has a longer name; a token in its place has. */
const longestName = 255;

export class TokenFiles {
	readonly #files = new Map<string, KeptFile<string>>();

	/**
	 * The text of a file. That it has not changed is seen without reading it.
	 *
	 * @param check sees what is known of the file before it is read, and may throw.
	 * @throws {CredentialUnavailableError} where it is no regular file, or too large for a token.
	 * @throws {FileReadError} where it is missing, or the operating system says no.
	 */
	read(file: string, check?: (status: BigIntStats) => void): string {
		refuseToken(file);
		let kept = this.#files.get(file);
		if (kept === undefined) {
			const parse = (bytes: Buffer): string => bytes.toString('utf8');
			kept = new KeptFile(file, {
				largest: largestFile,
				parse,
				...(check !== undefined && {check}),
				interval: 0,
			});
			this.#files.set(file, kept);
		}
		try {
			return kept.readCurrent();
		} catch (error) {
			if (!(error instanceof FileReadError) || error.code !== undefined) throw error;
			// Somebody is writing it: what it held before still counts.
			const before = error.reason === 'growing' ? kept.read() : undefined;
			if (before !== undefined) return before;
			throw new CredentialUnavailableError(`${file} ${error.message}. Name a file that holds just the token`);
		}
	}
}

/** Somebody may have given the token itself. It must not be in the message that there is no such file. */
function refuseToken(file: string): void {
	const name = file.slice(file.lastIndexOf('/') + 1);
	if (name.length <= longestName && !/\n|eyJ[\w-]+\.[\w-]+\./.test(name)) return;
	throw new CredentialUnavailableError(
		'What is given as the name of a token file is the text of a token, or is too long for a name. Name a file that holds the token',
	);
}

/** Why it was not read, in brackets: `ENOENT`. */
export function reasonOf(error: unknown): string {
	return (error as FileReadError).code ?? (error as FileReadError).reason;
}
