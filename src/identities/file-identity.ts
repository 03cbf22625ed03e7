/** An identity read from PEM files, checked before any server sees it. */
import {createPrivateKey, type KeyObject, X509Certificate} from 'node:crypto';
import {readFile, stat} from 'node:fs/promises';
import {CertificateError, CredentialUnavailableError} from '../errors.ts';
import type {Identity} from '../services.ts';

/** Real files have a few kilobytes. OpenSSL takes most of a minute over a key of 10 MB. */
const largestFile = 1024 * 1024;

/** Where the two parts of an identity are. */
export interface IdentityFiles {
	readonly certificate: string;
	readonly key: string;
	readonly passphrase?: string | undefined;
}

export class FileIdentity implements Identity {
	readonly subject: string;
	readonly thumbprint: string;
	readonly notBefore: number;
	readonly notAfter: number;
	readonly files: {readonly certificate: string; readonly key: string};
	readonly #chain: string;
	readonly #key: KeyObject;

	private constructor(files: IdentityFiles, chain: string, leaf: X509Certificate, key: KeyObject) {
		this.files = {certificate: files.certificate, key: files.key};
		this.subject = leaf.subject.split('\n').reverse().join(',');
		this.thumbprint = leaf.fingerprint256.replaceAll(':', '').toLowerCase();
		this.notBefore = Date.parse(leaf.validFrom);
		this.notAfter = Date.parse(leaf.validTo);
		this.#chain = chain;
		this.#key = key;
	}

	/**
	 * @throws {CredentialUnavailableError} where a file is missing.
	 * @throws {CertificateError} where one cannot be used, or the two do not belong together.
	 */
	static async read(files: IdentityFiles): Promise<FileIdentity> {
		const [chain, keyText] = await Promise.all([readText(files.certificate), readText(files.key)]);
		const leaf = parseCertificate(chain, files.certificate);
		const key = parseKey(keyText, files);
		if (!leaf.checkPrivateKey(key)) {
			throw new CertificateError(
				`The key ${files.key} does not belong to the certificate ${files.certificate}. Name the pair that was issued together`,
			);
		}
		const identity = new FileIdentity(files, chain, leaf, key);
		identity.#checkValidity();
		return identity;
	}

	material(): {cert: string; key: string} {
		return {cert: this.#chain, key: this.#key.export({type: 'pkcs8', format: 'pem'}) as string};
	}

	#checkValidity(): void {
		const now = Date.now();
		const {certificate} = this.files;
		if (now > this.notAfter) {
			throw new CertificateError(`The certificate ${certificate} ended on ${day(this.notAfter)}. Renew it`);
		}
		if (now < this.notBefore) {
			throw new CertificateError(
				`The certificate ${certificate} begins on ${day(this.notBefore)}. Check this machine's clock, or use an older one until then`,
			);
		}
	}
}

async function readText(file: string): Promise<string> {
	try {
		const information = await stat(file);
		if (!information.isFile()) throw new CertificateError(`${file} is not a file. Name the PEM file itself`);
		if (information.size > largestFile) {
			throw new CertificateError(
				`${file} has ${information.size} bytes, too many for a certificate or key. Name another file`,
			);
		}
		return (await readFile(file, 'utf8')).replace(/^\uFEFF/, '');
	} catch (error) {
		if (error instanceof CertificateError) throw error;
		const {code} = error as NodeJS.ErrnoException;
		if (code === 'ENOENT') {
			throw new CredentialUnavailableError(
				`There is no file ${file}. Put the certificate or key there, or name another place`,
				{cause: error},
			);
		}
		throw new CertificateError(`${file} cannot be read (${code}). Make it readable for this user`, {
			cause: error,
		});
	}
}

function parseCertificate(text: string, file: string): X509Certificate {
	if (!text.includes('-----BEGIN CERTIFICATE-----')) {
		throw new CertificateError(
			`${file} holds no certificate in PEM form. It should contain '-----BEGIN CERTIFICATE-----'`,
		);
	}
	try {
		return new X509Certificate(text);
	} catch (error) {
		throw new CertificateError(`The certificate in ${file} is damaged. Copy it anew`, {cause: error});
	}
}

function parseKey(text: string, {key: file, passphrase}: IdentityFiles): KeyObject {
	if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) {
		throw new CertificateError(
			`${file} holds no private key in PEM form. It should contain '-----BEGIN … PRIVATE KEY-----'`,
		);
	}
	try {
		return createPrivateKey({key: text, format: 'pem', ...(passphrase !== undefined && {passphrase})});
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		if (code === 'ERR_MISSING_PASSPHRASE') {
			throw new CertificateError(`The key ${file} is encrypted. Give the option 'passphrase'`);
		}
		// The library's error is left out: it says nothing that a person could use.
		const reason =
			passphrase === undefined
				? 'is damaged. Copy it anew'
				: 'does not open with the passphrase given. Check both';
		throw new CertificateError(`The key ${file} ${reason}`);
	}
}

function day(time: number): string {
	return new Date(time).toISOString().slice(0, 10);
}
