/** One pair of certificate and key in the folder of an identity, and what is noted of it. */
import type {X509Certificate} from 'node:crypto';
import type {IssuerName} from '../issuers/issuers.ts';
import {parseCertificates} from '../x509/certificates.ts';
import {readBounded} from '../x509/files.ts';
import {isEncryptedKey, parsePrivateKey} from '../x509/private-keys.ts';

/** The file of the notes. */
export const notesName = 'version.json';

/** What is noted of a version besides its files. */
export interface VersionNotes {
	/** Milliseconds since 1970. */
	readonly installedAt: number;
	/** The version that was in use before; absent for the first one. */
	readonly previous?: string;
	/** Absent for what was there before gatepass looked after the folder. */
	readonly serviceAccount?: string;
	/** Who issued it, so that it can be asked to revoke it. */
	readonly authority?: IssuerName;
	/** When it was revoked, in milliseconds since 1970. */
	readonly revokedAt?: number;
}

/** One pair of certificate and key that was installed. */
export interface Version extends VersionNotes {
	/** Its date and the beginning of its thumbprint. */
	readonly name: string;
	readonly folder: string;
	readonly certificate: string;
	readonly key: string;
}

/** `2026-11-22T10-15-00Z-3f9c2a61`: names sort by date, and no two certificates share one. */
export function versionName(installedAt: number, certificate: X509Certificate | undefined): string {
	const date = new Date(installedAt)
		.toISOString()
		.replace(/\.\d+Z$/, 'Z')
		.replaceAll(':', '-');
	const thumbprint = certificate?.fingerprint256.replaceAll(':', '').slice(0, 8).toLowerCase();
	return `${date}-${thumbprint ?? 'key'}`;
}

export function toText(value: unknown): string {
	return `${JSON.stringify(value, null, '\t')}\n`;
}

/** The notes of a version; `undefined` where the folder is none. */
export async function readNotes(file: string): Promise<VersionNotes | undefined> {
	try {
		return JSON.parse((await readBounded(file)).toString('utf8')) as VersionNotes;
	} catch {
		// Not a version of ours, or one that is being removed.
		return undefined;
	}
}

/** The certificate of a version; `undefined` for one that was adopted without it, or with a damaged one. */
export async function certificateIn({certificate}: Version): Promise<X509Certificate | undefined> {
	try {
		return parseCertificates(await readBounded(certificate), certificate)[0];
	} catch {
		return undefined;
	}
}

/** Whether certificate and key belong together, as far as can be told. */
export async function isPair(certificate: X509Certificate, keyFile: string): Promise<boolean> {
	const key = await readBounded(keyFile);
	// One that was adopted may be encrypted; whoever uses it has the passphrase.
	return isEncryptedKey(key) || certificate.checkPrivateKey(parsePrivateKey(key, keyFile));
}
