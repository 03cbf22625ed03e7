/** Reads files of certificates and keys: never more than a real one has, and each failure names the file and the hint. */
import {closeSync, constants, fstatSync, lstatSync, openSync, readSync, type Stats} from 'node:fs';
import {open} from 'node:fs/promises';
import {CertificateError, CredentialUnavailableError} from '../errors.ts';

/** Real files have a few kilobytes. OpenSSL takes most of a minute over a key of 10 MB. */
const largestFile = 1024 * 1024;

/** Without `O_NONBLOCK`, opening a named pipe would wait for somebody to write into it. */
const flags = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/** What a file holds, and the rights and the owner that it had when it was read. */
export interface FileContent {
	readonly bytes: Buffer;
	readonly status: Stats;
}

/**
 * The content of a file of at most 1 MiB.
 *
 * @throws {CredentialUnavailableError} where there is none.
 * @throws {CertificateError} where it cannot be read: a folder, too large, links in a circle, no leave.
 */
export async function readBounded(file: string): Promise<Buffer> {
	return (await readWithStatus(file)).bytes;
}

/** As {@link readBounded}; rights and owner are those of the file that was read, also where a link is being replaced. */
export async function readWithStatus(file: string): Promise<FileContent> {
	try {
		const handle = await open(file, flags);
		try {
			const status = await handle.stat();
			const bytes = Buffer.allocUnsafe(expectedSize(file, status));
			let length = 0;
			for (;;) {
				const {bytesRead} = await handle.read(bytes, length, bytes.length - length, length);
				length += bytesRead;
				if (bytesRead === 0 || length === bytes.length) break;
			}
			return {bytes: bounded(file, bytes, length), status};
		} finally {
			await handle.close();
		}
	} catch (error) {
		throw explained(file, error);
	}
}

/** As {@link readBounded}, for those who cannot wait. */
export function readBoundedSync(file: string): Buffer {
	try {
		const descriptor = openSync(file, flags);
		try {
			const bytes = Buffer.allocUnsafe(expectedSize(file, fstatSync(descriptor)));
			let length = 0;
			for (;;) {
				const bytesRead = readSync(descriptor, bytes, length, bytes.length - length, length);
				length += bytesRead;
				if (bytesRead === 0 || length === bytes.length) break;
			}
			return bounded(file, bytes, length);
		} finally {
			closeSync(descriptor);
		}
	} catch (error) {
		throw explained(file, error);
	}
}

/** How much to read: a little more than the file should have, so that one that grows is noticed. */
function expectedSize(file: string, status: Stats): number {
	if (status.isDirectory()) {
		throw new CertificateError({
			code: 'named-file-unreadable',
			what: `${file} is not a file but a folder`,
			hint: 'Name the file itself',
		});
	}
	if (!status.isFile())
		throw new CertificateError({
			code: 'named-file-unreadable',
			what: `${file} is not a file`,
			hint: 'Name the file itself',
		});
	if (status.size > largestFile) throw tooLarge(file, `${status.size}`);
	// Some file systems, such as Linux' /proc, tell no size.
	return status.size === 0 ? largestFile + 1 : status.size + 1;
}

function bounded(file: string, bytes: Buffer, length: number): Buffer {
	if (length > largestFile) throw tooLarge(file, `more than ${largestFile}`);
	if (length === bytes.length) {
		throw new CertificateError({
			code: 'named-file-unreadable',
			what: `${file} grew while it was read`,
			hint: 'Try again when it is written',
		});
	}
	return bytes.subarray(0, length);
}

function tooLarge(file: string, size: string): CertificateError {
	return new CertificateError({
		code: 'named-file-unreadable',
		what: `${file} has ${size} bytes, too many for a certificate or key`,
		hint: 'Name another file',
	});
}

function explained(file: string, error: unknown): Error {
	if (error instanceof CertificateError) return error;
	const {code} = error as NodeJS.ErrnoException;
	const cause = {cause: error};
	switch (code) {
		case 'ENOENT':
		case 'ENOTDIR':
			return new CredentialUnavailableError(
				isLink(file)
					? {
							code: 'named-file-missing',
							what: `${file} is a symbolic link to a file that is not there`,
							hint: 'Put that there, or name another place',
						}
					: {
							code: 'named-file-missing',
							what: `There is no file ${file}`,
							hint: 'Put the certificate or key there, or name another place',
						},
				cause,
			);
		case 'ELOOP':
			return new CertificateError(
				{
					code: 'named-file-unreadable',
					what: `${file} is a symbolic link that leads back to itself`,
					hint: 'Let it point to a file',
				},
				cause,
			);
		case 'EISDIR':
			return new CertificateError(
				{
					code: 'named-file-unreadable',
					what: `${file} is not a file but a folder`,
					hint: 'Name the file itself',
				},
				cause,
			);
		default:
			return new CertificateError(
				{
					code: 'named-file-unreadable',
					what: `${file} cannot be read (${code})`,
					hint: 'Make it readable for this user',
				},
				cause,
			);
	}
}

function isLink(file: string): boolean {
	try {
		return lstatSync(file).isSymbolicLink();
	} catch {
		return false;
	}
}
