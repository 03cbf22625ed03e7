/** What `gatepass cert inspect` looks at on this machine: a file, a folder, or the identity that is found. */
import type {KeyObject, X509Certificate} from 'node:crypto';
import {statSync} from 'node:fs';
import process from 'node:process';
import {warningsAbout} from '../identities/checks.ts';
import {type ClientUse, judgeClientUse} from '../identities/client-use.ts';
import {discover, nothingFound} from '../identities/discover.ts';
import type {IdentityPlace} from '../identities/read-identity.ts';
import {resolvePath} from '../strategy/paths.ts';
import {isNamesake, parseCertificates} from '../x509/certificates.ts';
import {type FileStatus, readWithStatus} from '../x509/files.ts';
import {formsOf} from '../x509/form.ts';
import {chooseChain} from '../x509/own-chain.ts';
import {readPkcs12} from '../x509/pkcs12.ts';
import {isEncryptedKey, parsePrivateKey} from '../x509/private-keys.ts';
import {type PassphraseOptions, withPassphrase} from './passphrase-input.ts';

/** The private key that belongs to a certificate, where there is one. */
export interface InspectedKey {
	readonly file: string;
	readonly isEncrypted: boolean;
	readonly status: FileStatus;
	/** Absent where it is encrypted and was not opened: it is not needed to look at the certificate. */
	readonly key?: KeyObject;
}

export interface Inspected {
	/** The file, or the URL. */
	readonly source: string;
	/** The leaf first. */
	readonly chain: readonly [X509Certificate, ...X509Certificate[]];
	readonly key?: InspectedKey;
	/** Certificates in the file that do not belong to the chain. */
	readonly others: number;
	/** What is wrong beyond the certificate and its key as such: with a server, or as a client's. */
	readonly problems: readonly string[];
	/** What needs attention although it can be used. */
	readonly warnings: readonly string[];
}

/** A file in any form, or a folder that holds an identity; without a name, the identity that is found. */
export async function inspectFile(
	written: string | undefined,
	options: PassphraseOptions,
): Promise<Inspected> {
	const cwd = process.cwd();
	const file = written === undefined ? undefined : resolvePath(written, cwd, process.env);
	if (file !== undefined && !isFolder(file)) {
		const kind = formsOf((await readWithStatus(file)).bytes).includes('pkcs12') ? 'pkcs12' : 'pair';
		return inspectPlace({kind, certificate: file, key: file, namedBy: 'the command line'}, options);
	}
	const discovery = discover(file === undefined ? {} : {directory: file}, cwd, process.env);
	if (discovery.found === undefined) throw nothingFound(discovery);
	return inspectPlace(discovery.found, options);
}

async function inspectPlace(place: IdentityPlace, options: PassphraseOptions): Promise<Inspected> {
	const {kind, certificate: file, key: keyFile} = place;
	const {bytes, status} = await readWithStatus(file);
	if (kind === 'pkcs12') {
		let isEncrypted = false;
		const opened = await withPassphrase(file, options, passphrase => {
			isEncrypted = Boolean(passphrase);
			return readPkcs12(bytes, file, passphrase);
		});
		return inspected(file, opened.certificates, {file, isEncrypted, status, key: opened.key});
	}
	const certificates = parseCertificates(bytes, file);
	if (keyFile !== file) {
		const forKey = await readWithStatus(keyFile);
		return inspected(file, certificates, describeKey(forKey.bytes, keyFile, forKey.status));
	}
	const hasKey = formsOf(bytes).some(form => form === 'key' || form === 'encrypted key');
	return inspected(file, certificates, hasKey ? describeKey(bytes, file, status) : undefined);
}

function describeKey(bytes: Buffer, file: string, status: FileStatus): InspectedKey {
	const isEncrypted = isEncryptedKey(bytes);
	return {file, isEncrypted, status, ...(!isEncrypted && {key: parsePrivateKey(bytes, file)})};
}

function inspected(
	source: string,
	certificates: readonly X509Certificate[],
	key: InspectedKey | undefined,
): Inspected {
	const leaf = leafOf(certificates, key?.key);
	const own = chooseChain(certificates, leaf);
	const [, ...issuers] = own.isEnough ? own.chain : [...own.chain, ...own.leftOut];
	const others = certificates.length - own.chain.length - own.leftOut.length;
	const chain = [leaf, ...issuers] as const;
	// To look at a CA's own certificate is no mistake.
	const isLookedAt = leaf.ca && key === undefined;
	const {refused, doubts}: ClientUse = isLookedAt ? {doubts: []} : judgeClientUse(chain, source);
	const problems = refused === undefined ? [] : [refused];
	const warnings = [...doubts, ...(own.isEnough ? warningsAbout(own, source) : [])];
	return {source, chain, others, problems, warnings, ...(key !== undefined && {key})};
}

/** The certificate of the key; without one, the first that issued none of the others. */
function leafOf(certificates: readonly X509Certificate[], key: KeyObject | undefined): X509Certificate {
	const own = key && certificates.find(certificate => certificate.checkPrivateKey(key));
	const last = certificates.find(one => !certificates.some(other => other !== one && isNamesake(one, other)));
	return own ?? last ?? (certificates[0] as X509Certificate);
}

function isFolder(path: string): boolean {
	return statSync(path, {throwIfNoEntry: false})?.isDirectory() ?? false;
}
