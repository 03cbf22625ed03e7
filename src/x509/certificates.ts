/** X.509 certificates (RFC 5280) in PEM and in DER, and the order of a chain. */
import {X509Certificate} from 'node:crypto';
import {CertificateError} from '../errors.ts';
import {canonicalNames} from './canonical-name.ts';
import {readElement} from './der.ts';
import {derFormOf, formsOf} from './form.ts';
import {pemBlocks} from './pem.ts';

const certificateLabel = /^(?:X509 |TRUSTED )?CERTIFICATE$/;

/**
 * All certificates of a file, in its order, each once. All of them count, so all of them must be right.
 *
 * @throws {CertificateError} where there is none, or one that is damaged.
 */
export function parseCertificates(bytes: Buffer, file: string): X509Certificate[] {
	const isDer = derFormOf(bytes) === 'certificate';
	const blocks = isDer ? [] : pemBlocks(bytes).filter(({label}) => certificateLabel.test(label));
	const count = isDer ? 1 : blocks.length;
	if (count === 0) throw new CertificateError(`${file} holds no certificate. ${mendFor(bytes)}`);
	try {
		if (isDer) return [new X509Certificate(exactly(bytes))];
		if (blocks.some(({isWhole}) => !isWhole)) throw new Error('One of them has no end, or is no base64');
		const all = blocks.map(({base64}) => new X509Certificate(exactly(Buffer.from(base64, 'base64'))));
		return withoutDuplicates(all);
	} catch (error) {
		const which = count === 1 ? 'The certificate' : 'A certificate';
		throw new CertificateError(`${which} in ${file} is damaged or cut off. Copy it again`, {cause: error});
	}
}

/** The certificate alone: behind it may stand OpenSSL's marks of trust, or a line end. */
function exactly(der: Buffer): Buffer {
	const element = readElement(der);
	if (element === undefined) throw new Error('It is cut off');
	return der.subarray(0, element.end);
}

function mendFor(bytes: Buffer): string {
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

/**
 * The chain of `leaf`: itself, then each one's issuer, as far as `certificates` holds it. Those that do not belong to
 * the chain are left out (RFC 8446 section 4.4.2).
 */
export function orderChain(
	certificates: readonly X509Certificate[],
	leaf: X509Certificate,
): X509Certificate[] {
	const bySubject = Map.groupBy(certificates, certificate => canonicalNames(certificate).subject);
	const chain = [leaf];
	const used = new Set([leaf.fingerprint256]);
	for (let last = leaf; !isSelfIssued(last); ) {
		const issuer = bySubject
			.get(canonicalNames(last).issuer)
			?.filter(candidate => !used.has(candidate.fingerprint256) && isIssuedBy(last, candidate))
			.sort(preferred)[0];
		if (issuer === undefined) break;
		chain.push(issuer);
		used.add(issuer.fingerprint256);
		last = issuer;
	}
	return chain;
}

/** Where a CA has several certificates: one that leads on to another CA, then the one that lasts longest. */
function preferred(one: X509Certificate, other: X509Certificate): number {
	return (
		Number(isSelfIssued(one)) - Number(isSelfIssued(other)) ||
		other.validToDate.getTime() - one.validToDate.getTime()
	);
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

/** Each certificate once, at its first place. */
export function withoutDuplicates(certificates: readonly X509Certificate[]): X509Certificate[] {
	return [...new Map(certificates.map(one => [one.fingerprint256, one] as const)).values()];
}
