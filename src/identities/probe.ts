/** Whether the files of an identity are there, and what speaks against those that nobody named. */
import {lstatSync, statSync} from 'node:fs';
import {GatepassError} from '../errors.ts';
import {parseCertificates} from '../x509/certificates.ts';
import {readBoundedSync} from '../x509/files.ts';

/** Whether there is nothing of that name, not even a symbolic link. */
export function isMissing(file: string): boolean {
	try {
		lstatSync(file);
		return false;
	} catch (error) {
		return isNoEntry(error);
	}
}

/** Whether there is a folder, or something that does not let itself be looked at. */
export function isFolder(path: string): boolean {
	try {
		return statSync(path).isDirectory();
	} catch (error) {
		return !isNoEntry(error);
	}
}

/** Why a file cannot be used, as a predicate of its folder: `lacks userkey.pem`. `undefined`: it is there. */
export function reasonAgainstFile(file: string, name: string): string | undefined {
	try {
		statSync(file);
		return undefined;
	} catch (error) {
		if (isMissing(file)) return `lacks ${name}`;
		if (isNoEntry(error)) return `has ${name} as a symbolic link to a file that is not there`;
		return `has a ${name} that cannot be read (${(error as NodeJS.ErrnoException).code})`;
	}
}

/**
 * Why the proxy at the default place is not to be used, as a sentence about it. Two things there are like no proxy at
 * all: a file that somebody else put into the folder that is everybody's, and yesterday's proxy, which lies around
 * until somebody makes a new one. What cannot be read is for whoever reads it to complain about.
 */
export function reasonAgainstProxy(file: string, owner: number): string | undefined {
	try {
		if (lstatSync(file).uid !== owner || statSync(file).uid !== owner) return 'it belongs to another user';
		const ends = parseCertificates(readBoundedSync(file), file).map(({validToDate}) => validToDate.getTime());
		const end = Math.min(...ends);
		return end < Date.now() ? `it ended on ${new Date(end).toISOString()}` : undefined;
	} catch (error) {
		if (isNoEntry(error)) return 'it does not exist';
		if (error instanceof GatepassError) return undefined;
		return `it cannot be read (${(error as NodeJS.ErrnoException).code})`;
	}
}

function isNoEntry(error: unknown): boolean {
	const {code} = error as NodeJS.ErrnoException;
	return code === 'ENOENT' || code === 'ENOTDIR';
}
