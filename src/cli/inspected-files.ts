/** What `gatepass cert inspect` looks at on this machine: a file, a folder, or the identity that is found. */
import type {KeyObject, X509Certificate} from 'node:crypto';
import {statSync} from 'node:fs';
import process from 'node:process';
import {warningsAbout} from '../identities/checks.ts';
import {type ClientUse, judgeClientUse} from '../identities/client-use.ts';
import {discover, nothingFound} from '../identities/discover.ts';
import type {IdentityPlace} from '../identities/read-identity.ts';
import {resolvePath} from '../strategy/paths.ts';
import {aliasesIn, isNamesake, parseCertificates} from '../x509/certificates.ts';
import {
	type Choice,
	chooseIdentity,
	type HeldCertificate,
	type HeldIdentity,
	type HeldKey,
	type Selection,
} from '../x509/choose-identity.ts';
import {type FileStatus, readWithStatus} from '../x509/files.ts';
import {formsOf} from '../x509/form.ts';
import {chooseChain} from '../x509/own-chain.ts';
import {isPassphraseNeeded} from '../x509/passphrase.ts';
import {readPkcs12} from '../x509/pkcs12.ts';
import {isEncryptedKey, openPrivateKeys} from '../x509/private-keys.ts';
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
	/** What the file calls it. */
	readonly alias?: string | undefined;
	/** Other identities in the file. */
	readonly otherIdentities: readonly HeldIdentity[];
	/** Further certificates in the file, which belong to nobody's chain. */
	readonly others: number;
	/** What is wrong beyond the certificate and its key as such: with a server, or as a client's. */
	readonly problems: readonly string[];
	/** What needs attention although it can be used. */
	readonly warnings: readonly string[];
}

/** Which of several identities in a file, and how to open it. */
export interface InspectOptions extends PassphraseOptions, Selection {}

/** A file in any form, or a folder that holds an identity; without a name, the identity that is found. */
export async function inspectFile(written: string | undefined, options: InspectOptions): Promise<Inspected> {
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

async function inspectPlace(place: IdentityPlace, options: InspectOptions): Promise<Inspected> {
	const {kind, certificate: file, key: keyFile} = place;
	const {bytes, status} = await readWithStatus(file);
	if (kind === 'pkcs12') {
		let isEncrypted = false;
		const opened = await withPassphrase(file, options, passphrase => {
			isEncrypted = Boolean(passphrase);
			return readPkcs12(bytes, file, passphrase, options);
		});
		const key = {file, isEncrypted, status, key: opened.key};
		return inspected(file, opened.certificates, opened.certificate, key, opened);
	}
	const certificates = parseCertificates(bytes, file);
	const aliases = aliasesIn(bytes);
	const held = certificates.map(certificate => ({
		certificate,
		alias: aliases.get(certificate.fingerprint256),
	}));
	const forKey = keyFile === file ? {bytes, status} : await readWithStatus(keyFile);
	const hasKey = formsOf(forKey.bytes).some(form => form === 'key' || form === 'encrypted key');
	if (!hasKey && keyFile === file) return inspected(file, certificates, leafOf(certificates));
	return inspectPair({file, certificates: held}, {file: keyFile, ...forKey}, options);
}

/** An encrypted key need not be opened to look at its certificate. */
async function inspectPair(
	{file, certificates}: {file: string; certificates: readonly HeldCertificate[]},
	{file: keyFile, bytes, status}: {file: string; bytes: Buffer; status: FileStatus},
	selection: Selection,
): Promise<Inspected> {
	const isEncrypted = isEncryptedKey(bytes);
	const keys = await openPrivateKeys(bytes, keyFile, undefined).catch((error: unknown): HeldKey[] => {
		if (isPassphraseNeeded(error)) return [];
		throw error;
	});
	const choice = chooseIdentity(keys, certificates, selection, file);
	const all = certificates.map(({certificate}) => certificate);
	const key = choice?.key ?? keys[0]?.key;
	const described = {file: keyFile, isEncrypted, status, ...(key !== undefined && {key})};
	return inspected(file, all, choice?.certificate ?? leafOf(all), described, choice);
}

function inspected(
	source: string,
	certificates: readonly X509Certificate[],
	leaf: X509Certificate,
	key?: InspectedKey,
	choice?: Pick<Choice, 'alias' | 'others'>,
): Inspected {
	const own = chooseChain(certificates, leaf);
	const [, ...issuers] = own.isEnough ? own.chain : [...own.chain, ...own.leftOut];
	const otherIdentities = choice?.others ?? [];
	const shown = own.chain.length + own.leftOut.length + otherIdentities.length;
	const others = Math.max(0, certificates.length - shown);
	const chain = [leaf, ...issuers] as const;
	// To look at a CA's own certificate is no mistake.
	const isLookedAt = leaf.ca && key === undefined;
	const {refused, doubts}: ClientUse = isLookedAt ? {doubts: []} : judgeClientUse(chain, source);
	const problems = refused === undefined ? [] : [refused];
	const warnings = [...doubts, ...(own.isEnough ? warningsAbout(own, source) : [])];
	return {
		source,
		chain,
		alias: choice?.alias,
		otherIdentities,
		others,
		problems,
		warnings,
		...(key !== undefined && {key}),
	};
}

/** Without a key: the first that issued none of the others. */
function leafOf(certificates: readonly X509Certificate[]): X509Certificate {
	const last = certificates.find(one => !certificates.some(other => other !== one && isNamesake(one, other)));
	return last ?? (certificates[0] as X509Certificate);
}

function isFolder(path: string): boolean {
	return statSync(path, {throwIfNoEntry: false})?.isDirectory() ?? false;
}
