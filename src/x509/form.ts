/** Tells what a file holds, so that it can be read, or the error can say what it is instead. */
import {childrenOf, derTag, readElement} from './der.ts';
import {pemBlocks} from './pem.ts';

/** What a file can hold. */
export type CredentialForm = 'certificate' | 'key' | 'encrypted key' | 'pkcs12' | 'pkcs7' | 'request';

/** How a private key is encoded in DER: RFC 5958, RFC 8017 appendix A.1.2, RFC 5915. */
export type KeyForm = 'pkcs8' | 'encrypted pkcs8' | 'pkcs1' | 'sec1';

/** All that a file holds, in its order; empty where it is nothing known. */
export function formsOf(bytes: Buffer): CredentialForm[] {
	const der = derFormOf(bytes);
	if (der === 'certificate' || der === 'pkcs12' || der === 'pkcs7' || der === 'request') return [der];
	if (der !== undefined) return [der === 'encrypted pkcs8' ? 'encrypted key' : 'key'];
	return pemBlocks(bytes).flatMap(({label, headers}): CredentialForm[] => {
		if (/^(?:X509 |TRUSTED )?CERTIFICATE$/.test(label)) return ['certificate'];
		if (label === 'ENCRYPTED PRIVATE KEY' || headers.includes('ENCRYPTED')) return ['encrypted key'];
		if (/^(?:RSA |EC )?PRIVATE KEY$/.test(label)) return ['key'];
		if (label === 'PKCS7') return ['pkcs7'];
		return label.endsWith('CERTIFICATE REQUEST') ? ['request'] : [];
	});
}

/** What DER holds, by its outermost elements; also where it is cut off. `undefined`: no DER, or nothing known. */
export function derFormOf(
	bytes: Buffer,
): 'certificate' | 'pkcs12' | 'pkcs7' | 'request' | KeyForm | undefined {
	if (bytes[0] !== derTag.sequence) return undefined;
	// The first elements tell, so the end of the outermost one does not matter; PKCS#12 may even leave it open (BER).
	const lengthSize = (bytes[1] ?? 0) > 0x80 ? (bytes[1] as number) - 0x80 : 0;
	const outer = {begin: 2 + lengthSize, end: bytes.length};
	const first = readElement(bytes, outer.begin) ?? {tag: bytes[outer.begin], begin: 0, end: 0};
	if (first.tag === derTag.integer) return formAfterVersion(bytes, outer);
	if (first.tag === derTag.objectIdentifier) return 'pkcs7';
	if (first.tag !== derTag.sequence) return undefined;
	const [, second, third] = childrenOf(bytes, outer);
	if (second?.tag === derTag.octetString) return 'encrypted pkcs8';
	// Cut off within its first part: only a certificate is as long as that.
	if (second === undefined || third === undefined) return 'certificate';
	// A request has at most four parts (RFC 2986 section 4.1), a certificate at least six.
	const parts = childrenOf(bytes, first);
	return parts.length <= 4 && parts[0]?.tag === derTag.integer ? 'request' : 'certificate';
}

function formAfterVersion(
	bytes: Buffer,
	outer: {begin: number; end: number},
): 'pkcs12' | 'pkcs8' | 'pkcs1' | 'sec1' | undefined {
	const version = bytes[outer.begin + 2];
	const isShort = bytes[outer.begin + 1] === 1;
	const next = bytes[outer.begin + 3];
	if (!isShort) return undefined;
	if (version === 3 && next === derTag.sequence) return 'pkcs12';
	if (next === derTag.sequence) return 'pkcs8';
	if (next === derTag.integer) return 'pkcs1';
	return next === derTag.octetString ? 'sec1' : undefined;
}
