/** Reads files of certificates and keys: never more than a real one has, and each failure names the file and the hint. */
import {lstatSync} from 'node:fs';
import {CertificateError, CredentialUnavailableError} from '../errors.ts';
import {
	type FileContent,
	FileReadError,
	readBounded as read,
	readBoundedSync as readSync,
} from '../files/bounded-read.ts';

/** Real files have a few kilobytes. OpenSSL takes most of a minute over a key of 10 MB. */
const largestFile = 1024 * 1024;

/** Who owns a file and what its mode is, as they were when it was read. */
export interface FileStatus {
	readonly mode: number;
	readonly uid: number;
}

/**
 * The content of a file of at most 1 MiB.
 *
 * @throws {CredentialUnavailableError} where there is none.
 * @throws {CertificateError} where it cannot be read: a folder, too large, links in a circle, no permission.
 */
export async function readBounded(file: string): Promise<Buffer> {
	return (await readWithStatus(file)).bytes;
}

/** As {@link readBounded}; mode and owner are those of the file that was read, also where a link is being replaced. */
export async function readWithStatus(file: string): Promise<{bytes: Buffer; status: FileStatus}> {
	const {bytes, status} = await read(file, largestFile).catch((error: unknown): FileContent => {
		throw explained(file, error);
	});
	return {bytes, status: {mode: Number(status.mode), uid: Number(status.uid)}};
}

/** As {@link readBounded}, for those who cannot wait. */
export function readBoundedSync(file: string): Buffer {
	try {
		return readSync(file, largestFile).bytes;
	} catch (error) {
		throw explained(file, error);
	}
}

function explained(file: string, error: unknown): unknown {
	if (!(error instanceof FileReadError)) return error;
	const {reason, code, size} = error;
	const cause = {cause: error.cause ?? error};
	switch (reason) {
		case 'missing':
			return new CredentialUnavailableError(
				isLink(file)
					? `${file} is a symbolic link to a file that is not there. Put that there, or name another place`
					: `There is no file ${file}. Put the certificate or key there, or name another place`,
				cause,
			);
		case 'circle':
			return new CertificateError(
				`${file} is a symbolic link that leads back to itself. Let it point to a file`,
				cause,
			);
		case 'folder':
			return new CertificateError(`${file} is not a file but a folder. Name the file itself`, cause);
		case 'special':
			return new CertificateError(`${file} is not a file. Name the file itself`, cause);
		case 'too large':
			return new CertificateError(
				`${file} has ${size} bytes, too many for a certificate or key. Name another file`,
				cause,
			);
		case 'growing':
			return new CertificateError(`${file} grew while it was read. Try again when it is written`, cause);
		case 'unreadable':
			return new CertificateError(`${file} cannot be read (${code}). Make it readable for this user`, cause);
	}
}

function isLink(file: string): boolean {
	try {
		return lstatSync(file).isSymbolicLink();
	} catch {
		return false;
	}
}
