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
	readonly issuer: string;
	readonly kind: undefined;
	readonly thumbprint: string;
	readonly notBefore: number;
	readonly notAfter: number;
	readonly files: {readonly certificate: string; readonly key: string};
	readonly #chain: string;
	readonly #key: KeyObject;

	private constructor(files: IdentityFiles, chain: string, leaf: X509Certificate, key: KeyObject) {
		this.files = {certificate: files.certificate, key: files.key};
		this.subject = leaf.subject.split('\n').reverse().join(',');
		this.issuer = leaf.issuer.split('\n').reverse().join(',');
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
		const [leaf, ...issuers] = parseCertificates(chain, files.certificate);
		const key = parseKey(keyText, files);
		if (!leaf.checkPrivateKey(key)) {
			const mend = issuers.some(issuer => issuer.checkPrivateKey(key))
				? 'Its own certificate stands further down in that file: put it first'
				: 'Name the pair that was issued together';
			throw new CertificateError(
				`The key ${files.key} does not belong to the certificate ${files.certificate}. ${mend}`,
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

/** The certificate itself, and the chain that stands behind it. All of it is sent, so all of it must be right. */
function parseCertificates(text: string, file: string): [X509Certificate, ...X509Certificate[]] {
	const beginnings = text.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/g) ?? [];
	const blocks = text.match(certificateBlock) ?? [];
	if (beginnings.length === 0) {
		const mend = privateKeyBeginning.test(text)
			? "It holds a private key: are 'certificate' and 'key' exchanged?"
			: "It should contain '-----BEGIN CERTIFICATE-----'";
		throw new CertificateError(`${file} holds no certificate in PEM form. ${mend}`);
	}
	try {
		if (blocks.length < beginnings.length) throw new Error('One of them has no end');
		const [leaf, ...issuers] = blocks.map(block => new X509Certificate(block));
		return [leaf as X509Certificate, ...issuers];
	} catch (error) {
		const which = beginnings.length === 1 ? 'The certificate' : 'A certificate';
		throw new CertificateError(`${which} in ${file} is damaged or cut off. Copy it anew`, {cause: error});
	}
}

const certificateBlock = /-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^-]+-----END \1-----/g;
const privateKeyBeginning = /-----BEGIN [A-Z ]*PRIVATE KEY-----/;

function parseKey(text: string, {key: file, passphrase}: IdentityFiles): KeyObject {
	if (!privateKeyBeginning.test(text)) {
		const mend = text.includes('-----BEGIN CERTIFICATE-----')
			? "It holds a certificate: are 'certificate' and 'key' exchanged?"
			: "It should contain '-----BEGIN … PRIVATE KEY-----'";
		throw new CertificateError(`${file} holds no private key in PEM form. ${mend}`);
	}
	// OpenSSL does not say so in a way to rely on.
	if (passphrase === undefined && /-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
		throw new CertificateError(`The key ${file} is encrypted. Give the option 'passphrase'`);
	}
	try {
		return createPrivateKey({key: text, format: 'pem', ...(passphrase !== undefined && {passphrase})});
	} catch {
		// The library's error is left out: it says nothing that a person could use.
		const reason =
			passphrase === undefined
				? 'is damaged or cut off. Copy it anew'
				: 'does not open with the passphrase given. Check both';
		throw new CertificateError(`The key ${file} ${reason}`);
	}
}

function day(time: number): string {
	return new Date(time).toISOString().slice(0, 10);
}
