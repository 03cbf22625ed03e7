/** X.509 certificates (RFC 5280) in PEM and in DER, and which one issued which. */
import {X509Certificate} from 'node:crypto';
import {CertificateError} from '../errors.ts';
import {canonicalNames} from './canonical-name.ts';
import {readElement} from './der.ts';
import {derFormOf, formsOf} from './form.ts';
import {type PemBlock, pemBlocks} from './pem.ts';
import {keepTrustSettings} from './trust-settings.ts';

const certificateLabel = /^(?:X509 |TRUSTED )?CERTIFICATE$/;
const trustedLabel = 'TRUSTED CERTIFICATE';

/**
 * All certificates of a file, in its order, each once. All of them count, so all of them must be right.
 *
 * @throws {CertificateError} where there is none, or one that is damaged.
 */
export function parseCertificates(bytes: Buffer, file: string): X509Certificate[] {
	const isDer = derFormOf(bytes) === 'certificate';
	const blocks = isDer ? [] : pemBlocks(bytes).filter(({label}) => certificateLabel.test(label));
	const count = isDer ? 1 : blocks.length;
	if (count === 0)
		throw new CertificateError({
			code: 'certificate-missing',
			what: `${file} holds no certificate`,
			hint: hintFor(bytes),
		});
	try {
		if (isDer) return [new X509Certificate(exactly(bytes))];
		if (blocks.some(({isWhole}) => !isWhole)) throw new Error('One of them has no end, or is no base64');
		return withoutDuplicates(blocks.map(block => parseBlock(block, file)));
	} catch (error) {
		const which = count === 1 ? 'The certificate' : 'A certificate';
		throw new CertificateError(
			{code: 'certificate-damaged', what: `${which} in ${file} is damaged or cut off`, hint: 'Copy it again'},
			{cause: error},
		);
	}
}

/** What openssl has written before the certificates of a PEM file of their aliases, by their SHA-256. */
export function aliasesIn(bytes: Buffer): ReadonlyMap<string, string> {
	const named = pemBlocks(bytes).filter(
		({label, alias}) => alias !== undefined && certificateLabel.test(label),
	);
	return new Map(
		named.flatMap(({base64, alias}) => {
			try {
				const {fingerprint256} = new X509Certificate(exactly(Buffer.from(base64, 'base64')));
				return [[fingerprint256, alias as string] as const];
			} catch {
				return [];
			}
		}),
	);
}

function parseBlock({label, base64}: PemBlock, file: string): X509Certificate {
	const bytes = Buffer.from(base64, 'base64');
	const der = exactly(bytes);
	const certificate = new X509Certificate(der);
	const behind = bytes.subarray(der.length);
	if (label === trustedLabel && behind.length > 0) keepTrustSettings(certificate, behind, file);
	return certificate;
}

/** The certificate alone: behind it may stand OpenSSL's trust settings, or a line end. */
function exactly(der: Buffer): Buffer {
	const element = readElement(der);
	if (element === undefined) throw new Error('It is cut off');
	return der.subarray(0, element.end);
}

function hintFor(bytes: Buffer): string {
	const forms = formsOf(bytes);
	if (bytes.length === 0) return 'It is empty. Copy it again';
	if (forms.includes('key') || forms.includes('encrypted key')) {
		return "It holds a private key: are 'certificate' and 'key' exchanged?";
	}
	if (forms.includes('pkcs12')) return "It is a PKCS#12 file: name it in the option 'pkcs12'";
	if (forms.includes('pkcs7')) {
		return "It is a PKCS#7 file: take the certificates out with 'openssl pkcs7 -print_certs'";
	}
	if (forms.includes('request'))
		return 'It is a certificate request: name the certificate that was issued for it';
	return "It should contain '-----BEGIN CERTIFICATE-----', or be a certificate in DER form";
}

/** The certificate in PEM, with a line end. */
export function toPem(certificate: X509Certificate): string {
	return certificate.toString();
}

/** Whether a certificate bears the name of its own issuer, as that of a root does. */
export function isSelfIssued(certificate: X509Certificate): boolean {
	const {subject, issuer} = canonicalNames(certificate);
	return subject === issuer;
}

/** Whether a certificate bears the name of another's issuer. */
export function isNamesake(issuer: X509Certificate, certificate: X509Certificate): boolean {
	return canonicalNames(certificate).issuer === canonicalNames(issuer).subject;
}

/** Whether `issuer` signed the certificate. */
export function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
	if (!isNamesake(issuer, certificate)) return false;
	try {
		return certificate.verify(issuer.publicKey);
	} catch {
		// A kind of key that OpenSSL does not know.
		return false;
	}
}

/** Each certificate once: the first of several. */
export function withoutDuplicates(certificates: readonly X509Certificate[]): X509Certificate[] {
	return [...Map.groupBy(certificates, ({fingerprint256}) => fingerprint256).values()].map(
		([first]) => first as X509Certificate,
	);
}
