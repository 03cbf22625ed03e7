/** Reads an identity from its files, whatever their form, and checks it before any server sees it. */
import type {KeyObject, X509Certificate} from 'node:crypto';
import {CertificateError} from '../errors.ts';
import type {CertificateKind, Identity} from '../strategy/services.ts';
import {aliasesIn, parseCertificates, toPem} from '../x509/certificates.ts';
import {chooseIdentity} from '../x509/choose-identity.ts';
import {type FileStatus, readWithStatus} from '../x509/files.ts';
import {kindOf} from '../x509/kind.ts';
import {rfc2253Issuer, rfc2253Subject} from '../x509/names.ts';
import {chooseChain, type OwnChain} from '../x509/own-chain.ts';
import {readPkcs12} from '../x509/pkcs12.ts';
import {openPrivateKeys} from '../x509/private-keys.ts';
import {
	checkChain,
	checkKeyFile,
	checkProxies,
	checkRobot,
	checkSelfSigned,
	checkValidity,
	type JudgeChain,
	notTogether,
	warningsAbout,
} from './checks.ts';
import {judgeClientUse} from './client-use.ts';

/** Where an identity is. */
export interface IdentityPlace {
	/** `pair`: a certificate and its key, in two files or in one; `proxy`: both and the chain in one file. */
	readonly kind: 'pair' | 'pkcs12' | 'proxy';
	readonly certificate: string;
	/** The same file as `certificate` for `pkcs12` and `proxy`. */
	readonly key: string;
	/** A secret. */
	readonly passphrase?: string | undefined;
	readonly requireRobot?: boolean | undefined;
	/** Which of several identities in the files is meant. */
	readonly alias?: string | undefined;
	readonly thumbprint?: string | undefined;
	/** Who named the place: `the option 'pkcs12'`, `the variable X509_USER_PROXY`. */
	readonly namedBy: string;
}

/** An identity that was read and found usable. Printing it shows no key. */
export class LoadedIdentity implements Identity {
	readonly subject: string;
	readonly issuer: string;
	readonly kind: CertificateKind | undefined;
	readonly thumbprint: string;
	readonly notBefore: number;
	readonly notAfter: number;
	readonly files: {readonly certificate: string; readonly key: string};
	readonly #chain: readonly X509Certificate[];
	readonly #key: KeyObject;
	readonly #warnings: readonly string[];
	readonly #chooseAgainAt: number;

	/** @param own its chain begins with the certificate of `key`. */
	constructor(
		files: Identity['files'],
		{chain, notAfter}: Pick<OwnChain, 'chain' | 'notAfter'>,
		key: KeyObject,
		warnings: readonly string[] = [],
	) {
		const leaf = chain[0] as X509Certificate;
		this.subject = rfc2253Subject(leaf);
		this.issuer = rfc2253Issuer(leaf);
		this.kind = kindOf(leaf);
		this.thumbprint = leaf.fingerprint256.replaceAll(':', '').toLowerCase();
		this.notBefore = leaf.validFromDate.getTime();
		this.notAfter = notAfter;
		this.#chooseAgainAt = Math.min(notAfter, ...chain.map(({validToDate}) => validToDate.getTime()));
		this.files = files;
		this.#warnings = warnings;
		this.#chain = chain;
		this.#key = key;
	}

	/** The certificate, then each one's issuer, as far as the files hold it. */
	get chain(): readonly X509Certificate[] {
		return this.#chain;
	}

	/** What needs a person's attention. */
	get warnings(): readonly string[] {
		return this.#warnings;
	}

	/** When some of what is shown ends, in milliseconds since 1970: the files may hold another way up that lasts longer. */
	get chooseAgainAt(): number {
		return this.#chooseAgainAt;
	}

	material(): {cert: string; key: string} {
		return {
			cert: this.#chain.map(toPem).join(''),
			key: this.#key.export({type: 'pkcs8', format: 'pem'}) as string,
		};
	}
}

/**
 * The identity at `place`, checked.
 *
 * @param judge judges the chain, where a trust store is there to do so.
 * @throws {CredentialUnavailableError} where a file is missing.
 * @throws {CertificateError} where one cannot be used. Where a passphrase is needed and none was given,
 * `isPassphraseNeeded` knows the error.
 */
export async function readIdentity(place: IdentityPlace, judge?: JudgeChain): Promise<LoadedIdentity> {
	const {certificate: file, requireRobot} = place;
	const {certificates, key, leaf, keyFileStatus} = await readParts(place);
	const files = {certificate: file, key: place.key};
	const own = await sufficient(chooseChain(certificates, leaf), judge);
	const {chain} = own;
	const use = judgeClientUse(chain, file);
	checkKeyFile(place.key, keyFileStatus);
	checkValidity(chain, file);
	checkSelfSigned(leaf, file);
	checkProxies(chain, file);
	if (use.refused !== undefined) throw new CertificateError(use.refused);
	if (requireRobot) checkRobot(chain, file);
	if (judge !== undefined) await checkChain(chain, file, judge);
	return new LoadedIdentity(files, own, key, [...use.doubts, ...warningsAbout(own, file)]);
}

/** What has expired is left out where the rest is enough; where it is not, the checks say what has expired. */
async function sufficient(own: OwnChain, judge: JudgeChain | undefined): Promise<OwnChain> {
	if (own.isEnough || (await judge?.(own.chain))?.outcome === 'complete') return own;
	return {...own, chain: [...own.chain, ...own.leftOut], leftOut: []};
}

interface Parts {
	readonly certificates: readonly X509Certificate[];
	readonly key: KeyObject;
	/** The certificate of the key. */
	readonly leaf: X509Certificate;
	readonly keyFileStatus: FileStatus;
}

async function readParts(place: IdentityPlace): Promise<Parts> {
	const {kind, certificate: file, key: keyFile, passphrase} = place;
	if (kind === 'pkcs12') {
		const {bytes, status} = await readWithStatus(file);
		const {certificate: leaf, certificates, key} = await readPkcs12(bytes, file, passphrase, place);
		return {certificates, key, leaf, keyFileStatus: status};
	}
	const [forCertificate, forKey] = await Promise.all([
		readWithStatus(file),
		file === keyFile ? undefined : readWithStatus(keyFile),
	]);
	const {bytes, status} = forKey ?? forCertificate;
	const certificates = parseCertificates(forCertificate.bytes, file);
	const keys = await openPrivateKeys(bytes, keyFile, passphrase);
	const aliases = aliasesIn(forCertificate.bytes);
	const held = certificates.map(certificate => ({
		certificate,
		alias: aliases.get(certificate.fingerprint256),
	}));
	const choice = chooseIdentity(keys, held, place, file);
	if (choice === undefined) throw notTogether({certificate: file, key: keyFile});
	return {certificates, key: choice.key, leaf: choice.certificate, keyFileStatus: status};
}
