/** Whether the files of an identity are there, and what speaks against those that nobody named. */
import type {X509Certificate} from 'node:crypto';
import {lstatSync, statSync} from 'node:fs';
import {GatepassError} from '../errors.ts';
import {isSelfIssued, parseCertificates} from '../x509/certificates.ts';
import {readBoundedSync} from '../x509/files.ts';
import {chooseChain} from '../x509/own-chain.ts';

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
		const end = endOfProxy(parseCertificates(readBoundedSync(file), file));
		return end < Date.now() ? `it expired on ${new Date(end).toISOString()}` : undefined;
	} catch (error) {
		if (isNoEntry(error)) return 'it does not exist';
		if (error instanceof GatepassError) return undefined;
		return `it cannot be read (${(error as NodeJS.ErrnoException).code})`;
	}
}

/** Each proxy and the certificate that it was made from have to be valid, and one way up from there. */
function endOfProxy(certificates: readonly X509Certificate[]): number {
	const {notAfter, isEnough, leftOut} = chooseChain(certificates, certificates[0] as X509Certificate);
	const needed = [
		...certificates.filter(certificate => !certificate.ca && !isSelfIssued(certificate)),
		...(isEnough ? [] : leftOut),
	];
	return Math.min(notAfter, ...needed.map(({validToDate}) => validToDate.getTime()));
}

function isNoEntry(error: unknown): boolean {
	const {code} = error as NodeJS.ErrnoException;
	return code === 'ENOENT' || code === 'ENOTDIR';
}
