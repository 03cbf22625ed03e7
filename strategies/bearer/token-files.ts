/** Files that hold a token, read again when they have changed: whoever renews the token writes a new one. */
import {CredentialUnavailableError} from '../../src/errors.ts';
import {FileReadError, isFileContent, KeptFile} from '../../src/strategy/index.ts';

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
	 * The text of a file as it is now. That it has not changed is seen without reading it; a file system that hangs holds
	 * up nobody else.
	 *
	 * @param check sees whose the file is, and may throw.
	 * @throws {CredentialUnavailableError} where it is no regular file, or too large for a token.
	 * @throws {FileReadError} where it is missing, or the operating system says no.
	 */
	async read(file: string, check?: (owner: Pick<TokenFile, 'uid'>) => void): Promise<string> {
		refuseToken(file);
		let kept = this.#files.get(file);
		if (kept === undefined) {
			kept = new KeptFile(file, {
				largest: largestFile,
				interval: 0,
				parse: (bytes, _, {uid}) => ({text: bytes.toString('utf8'), uid: Number(uid)}),
			});
			this.#files.set(file, kept);
		}
		const {text, uid} = await current(kept);
		check?.({uid});
		return text;
	}
}

async function current(kept: KeptFile<TokenFile>): Promise<TokenFile> {
	try {
		return await kept.current();
	} catch (error) {
		if (!(error instanceof FileReadError) || error.code !== undefined) throw error;
		// Somebody is writing it: what it held before still counts.
		const before = error.reason === 'growing' ? kept.last : undefined;
		if (before !== undefined) return before;
		const {size, message} = error;
		const what = size === undefined ? message : `has ${size} bytes, too many for a token`;
		const hint =
			error.reason === 'silent' ? 'Wait until it answers, or name a file elsewhere' : 'Name another file';
		throw new CredentialUnavailableError(
			{code: 'token-file-unusable', what: `${kept.file} ${what}`, hint},
			{cause: error},
		);
	}
}

/** Somebody may have given the token itself. It must not be in the message that there is no such file. */
function refuseToken(file: string): void {
	const name = file.slice(file.lastIndexOf('/') + 1);
	if (!isFileContent(file) && !/eyJ[\w-]+\.[\w-]+\./.test(name)) return;
	throw new CredentialUnavailableError({
		code: 'token-file-unusable',
		what: 'What is given as the name of a token file is the text of a token, or is too long for a name',
		hint: 'Name a file that holds the token',
	});
}

/** Why it was not read, in brackets: `ENOENT`. */
export function reasonOf(error: unknown): string {
	return (error as FileReadError).code ?? (error as FileReadError).reason;
}
