/** Files that hold a token, read again when they have changed: whoever renews the token writes a new one. */
import {CredentialUnavailableError} from '../../src/errors.ts';
import {FileReadError, KeptFile} from '../../src/strategy/index.ts';

/** Real tokens have a few kilobytes. */
const largestFile = 1024 * 1024;

interface TokenFile {
	readonly text: string;
	/** Of its owner. */
	readonly uid: number;
}

export class TokenFiles {
	readonly #files = new Map<string, KeptFile<TokenFile>>();

	/**
	 * The text of a file as it is now. That it has not changed is seen without reading it.
	 *
	 * @param check sees whose the file is, and may throw.
	 * @throws {CredentialUnavailableError} where it is too large for a token, or no regular file.
	 * @throws what the file system says, where it cannot be read.
	 */
	read(file: string, check?: (owner: Pick<TokenFile, 'uid'>) => void): string {
		let kept = this.#files.get(file);
		if (kept === undefined) {
			kept = new KeptFile(file, {
				largest: largestFile,
				interval: 0,
				parse: (bytes, _, {uid}) => ({text: bytes.toString('utf8'), uid: Number(uid)}),
			});
			this.#files.set(file, kept);
		}
		const {text, uid} = current(kept);
		check?.({uid});
		return text;
	}
}

function current(kept: KeptFile<TokenFile>): TokenFile {
	try {
		return kept.readCurrent();
	} catch (error) {
		if (!(error instanceof FileReadError)) throw error;
		const {file, size, message, cause} = error;
		if (cause !== undefined) throw cause;
		throw new CredentialUnavailableError(
			size === undefined
				? `${file} ${message}. Name another file`
				: `${file} has ${size} bytes, too many for a token. Name another file`,
			{cause: error},
		);
	}
}
