/** CA certificates from PEM files, hashed CA folders and the stores of the operating system and of Node. */
import {X509Certificate} from 'node:crypto';
import {readdirSync, statSync} from 'node:fs';
import {join} from 'node:path';
import {getCACertificates} from 'node:tls';
import {caFileName, systemStore} from '../config/configuration.ts';
import {type Diagnostic, warning} from '../diagnostics/diagnostic.ts';
import {CertificateError} from '../errors.ts';
import {readBoundedSync} from '../files/bounded-read.ts';
import {type FileStamp, stampsOfSync} from '../files/stamp.ts';
import {canonicalNames} from '../x509/canonical-name.ts';
import {parseCertificates, withoutDuplicates} from '../x509/certificates.ts';
import {toTrustedPem} from '../x509/trust-settings.ts';

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
	/** Why files of a folder were left out; each a sentence with its hint. */
	readonly leftOut: readonly Diagnostic[];
}

/**
 * Read them all.
 *
 * @throws {CertificateError} where a file or folder cannot be used.
 */
export function readAuthorities(files: readonly string[]): Authorities {
	const found: X509Certificate[] = [];
	const folders: string[] = [];
	const leftOut: Diagnostic[] = [];
	let system: readonly string[] = [];
	for (const file of files) {
		if (file === systemStore) {
			system = getCACertificates('system');
		} else if (isFolder(file)) {
			folders.push(file);
			found.push(...readFolder(file, leftOut));
		} else {
			found.push(...readFile(file, "Name another under 'trust'"));
		}
	}
	const hasListUrls = folders.some(folder => readdirSync(folder).some(name => name.endsWith('.crl_url')));
	// Of one that is there with trust settings and without, OpenSSL takes the first, too.
	return {certificates: withoutDuplicates(found), folders, hasListUrls, system, leftOut};
}

/**
 * How the files stand now. The stamp of a folder is another one when a file in it comes, goes or is replaced; to look at
 * each of its files as well tells of one that was written over in its place.
 */
export function stampOfAuthorities(files: readonly string[], looksInside: boolean): FileStamp {
	return stampsOfSync(
		files
			.filter(file => file !== systemStore)
			.flatMap(file => [file, ...(looksInside && isFolder(file) ? caFilesIn(file) : [])]),
	);
}

/** What cannot be looked at is none: whoever reads it as a file says why. */
function isFolder(file: string): boolean {
	try {
		return statSync(file).isDirectory();
	} catch {
		return false;
	}
}

function caFilesIn(folder: string): string[] {
	return readdirSync(folder)
		.filter(name => caFileName.test(name))
		.map(name => join(folder, name));
}

/** One that is damaged is left out: it is one CA of many, and no server is believed for want of it. */
function readFolder(folder: string, leftOut: Diagnostic[]): X509Certificate[] {
	const certificates: X509Certificate[] = [];
	for (const file of caFilesIn(folder)) {
		try {
			certificates.push(...readFile(file, 'It is left out: replace it, or remove it'));
		} catch (error) {
			leftOut.push(...(error as CertificateError).diagnostics.map(found => warning(found)));
		}
	}
	if (certificates.length === 0) {
		throw new CertificateError({
			code: 'ca-folder-unusable',
			what: `The CA folder ${folder} holds no CA certificate that can be used`,
			hint: "Fill it with files such as '5168735f.0' (openssl rehash), or name another under 'trust'",
		});
	}
	return certificates;
}

function readFile(file: string, hint: string): X509Certificate[] {
	let bytes: Buffer;
	try {
		({bytes} = readBoundedSync(file, largestFile));
	} catch (error) {
		throw new CertificateError(
			{code: 'ca-file-unusable', what: `The CA file ${file} ${(error as Error).message}`, hint: hint},
			{cause: error},
		);
	}
	try {
		return parseCertificates(bytes, file);
	} catch (error) {
		const isDamaged = (error as Error).cause !== undefined;
		throw new CertificateError(
			isDamaged
				? {
						code: 'ca-file-unusable',
						what: `A certificate in the CA file ${file} is damaged or cut off`,
						hint: hint,
					}
				: {code: 'ca-file-unusable', what: `The CA file ${file} holds no certificate`, hint: hint},
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
	return [...new Set([...certificates.map(toTrustedPem), ...system, ...others])];
}
