/** CA certificates from PEM files, hashed CA folders and the stores of the operating system and of Node. */
import {X509Certificate} from 'node:crypto';
import {readdirSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {getCACertificates} from 'node:tls';
import {caFileName, systemStore} from '../config/configuration.ts';
import {CertificateError} from '../errors.ts';
import {canonicalNames} from '../x509/canonical-name.ts';
import {parseCertificates, toPem} from '../x509/certificates.ts';
import {readWhole, versionOf} from './revalidated-file.ts';

/** The largest file of CA certificates; that of Mozilla has 220 kB. */
const largestFile = 16 * 1024 * 1024;

/** The CA certificates of one trust store. */
export interface Authorities {
	readonly certificates: readonly X509Certificate[];
	/** The hashed CA folders among the files: there are revocation lists and policies, too. */
	readonly folders: readonly string[];
	/** Whether any CA in them says where its revocation list can be fetched. */
	readonly hasListUrls: boolean;
	/** Certificates of the operating system's store, where it is among the files, in PEM. */
	readonly system: readonly string[];
	/** Files of a folder that were left out, and why. */
	readonly complaints: readonly string[];
}

/**
 * Read them all.
 *
 * @throws {CertificateError} where a file or folder cannot be used.
 */
export function readAuthorities(files: readonly string[]): Authorities {
	const found = new Map<string, X509Certificate>();
	const folders: string[] = [];
	const complaints: string[] = [];
	let system: readonly string[] = [];
	for (const file of files) {
		let certificates: X509Certificate[] = [];
		if (file === systemStore) {
			system = getCACertificates('system');
		} else if (isFolder(file)) {
			folders.push(file);
			certificates = readFolder(file, complaints);
		} else {
			certificates = readFile(file);
		}
		for (const certificate of certificates) found.set(certificate.fingerprint256, certificate);
	}
	const hasListUrls = folders.some(folder => readdirSync(folder).some(name => name.endsWith('.crl_url')));
	return {certificates: [...found.values()], folders, hasListUrls, system, complaints};
}

/**
 * What tells the files as they are now from what they were before. A folder has another version when a file in it comes,
 * goes or is replaced; to look at each of its files as well tells of one that was written over in its place.
 */
export function versionOfFiles(files: readonly string[], looksInside: boolean): string {
	return files
		.filter(file => file !== systemStore)
		.flatMap(file => [file, ...(looksInside && isFolder(file) ? caFilesIn(file) : [])])
		.map(file => versionOf(file) ?? 'none')
		.join('\n');
}

function isFolder(file: string): boolean {
	return statSync(file, {throwIfNoEntry: false})?.isDirectory() ?? false;
}

function caFilesIn(folder: string): string[] {
	return readdirSync(folder)
		.filter(name => caFileName.test(name))
		.map(name => join(folder, name));
}

/** One that is damaged is left out: it is one CA of many, and no server is believed for want of it. */
function readFolder(folder: string, complaints: string[]): X509Certificate[] {
	const certificates: X509Certificate[] = [];
	for (const file of caFilesIn(folder)) {
		try {
			certificates.push(...readFile(file));
		} catch (error) {
			complaints.push((error as Error).message);
		}
	}
	if (certificates.length === 0) {
		throw new CertificateError(
			`The CA folder ${folder} holds no CA certificate that can be used. Fill it with files such as '5168735f.0' (openssl rehash), or name another under 'trust'`,
		);
	}
	return certificates;
}

function readFile(file: string): X509Certificate[] {
	let bytes: Buffer;
	try {
		bytes = readWhole(file, largestFile);
	} catch (error) {
		const {code, message} = error as NodeJS.ErrnoException;
		const reason = code === undefined ? message : `cannot be read (${code})`;
		throw new CertificateError(`The CA file ${file} ${reason}. Name another under 'trust'`, {cause: error});
	}
	try {
		return parseCertificates(bytes, file);
	} catch (error) {
		const isDamaged = (error as Error).cause !== undefined;
		throw new CertificateError(
			isDamaged
				? `A certificate in the CA file ${file} is damaged or cut off. Copy the file again`
				: `The CA file ${file} holds no certificate. Name another under 'trust'`,
			{cause: error},
		);
	}
}

let joined: {readonly of: readonly string[]; readonly roots: readonly string[]} | undefined;

/**
 * What holds besides the CA certificates of an entry: Node's roots, with those of NODE_EXTRA_CA_CERTS, and the
 * operating system's. Reading its store takes 10 to 100 ms, so that is done once, when it is first needed.
 */
export function commonRoots(): readonly string[] {
	const own = getCACertificates('default');
	if (joined?.of !== own) joined = {of: own, roots: [...new Set([...own, ...getCACertificates('system')])]};
	return joined.roots;
}

const parsed = new WeakMap<readonly string[], ReadonlyMap<string, X509Certificate[]>>();

/** The same certificates by their subjects in canonical form. Taken apart when a chain is first followed up to one of them. */
export function bySubject(roots: readonly string[]): ReadonlyMap<string, X509Certificate[]> {
	let index = parsed.get(roots);
	if (index === undefined) {
		index = Map.groupBy(
			roots.map(pem => new X509Certificate(pem)),
			certificate => canonicalNames(certificate).subject,
		);
		parsed.set(roots, index);
	}
	return index;
}

/** In PEM, each once. */
export function pemOf({certificates, system}: Authorities, others: readonly string[]): readonly string[] {
	return [...new Set([...certificates.map(toPem), ...system, ...others])];
}
