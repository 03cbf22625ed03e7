/**
 * The certificates of PKCS#7 and CMS files (`.p7b`, `.p7c`; RFC 5652 section 5.1): what else is in them, such as
 * revocation lists and signatures, does not matter. They may be BER, with lengths left open.
 */
import {X509Certificate} from 'node:crypto';
import {CertificateError} from '../errors.ts';
import {type DerElement, derTag, objectIdentifier} from './der.ts';
import {derFormOf} from './form.ts';
import {pemBlocks} from './pem.ts';

/** All PKCS#7 structures of a file; Microsoft's authorities label them in PEM as certificates. */
export function pkcs7In(bytes: Buffer): Buffer[] {
	const candidates = [bytes, ...pemBlocks(bytes).map(({base64}) => Buffer.from(base64, 'base64'))];
	return candidates.filter(candidate => derFormOf(candidate) === 'pkcs7');
}

/**
 * The certificates in it, in its order.
 *
 * @throws {CertificateError} where it is damaged, or holds none.
 */
export function certificatesInPkcs7(bytes: Buffer, source: string): X509Certificate[] {
	let certificates: X509Certificate[];
	try {
		certificates = read(bytes);
	} catch (error) {
		throw new CertificateError(`The PKCS#7 file ${source} is damaged or cut off. Download it again`, {
			cause: error,
		});
	}
	if (certificates.length > 0) return certificates;
	throw new CertificateError(
		`The PKCS#7 file ${source} holds no certificate. Download it again, with the certificate and its chain`,
	);
}

const signedData = '1.2.840.113549.1.7.2';
/** Context-specific and constructed. */
const explicit = 0xa0;

function read(bytes: Buffer): X509Certificate[] {
	const [type, wrapped] = inside(bytes, required(readBer(bytes, 0, bytes.length, 0)));
	if (type?.tag !== derTag.objectIdentifier || objectIdentifier(bytes, type) !== signedData) {
		throw new Error('It is no signed data');
	}
	const [signed] = inside(bytes, required(wrapped));
	// Version, algorithms and content come before; those have other tags.
	const set = inside(bytes, required(signed)).find(({tag}) => tag === explicit);
	return (
		(set === undefined ? [] : inside(bytes, set))
			// Certificates of other kinds have tags of their own (RFC 5652 section 10.2.2).
			.filter(({tag}) => tag === derTag.sequence)
			.map(({start, next}) => new X509Certificate(bytes.subarray(start, next)))
	);
}

interface BerElement extends DerElement {
	/** Where the next one begins: behind the mark of its end, where its length is left open. */
	readonly next: number;
}

/** Real files go some ten levels deep. */
const deepest = 32;

function readBer(bytes: Buffer, start: number, limit: number, depth: number): BerElement | undefined {
	const [tag, first] = [bytes[start], bytes[start + 1]];
	if (tag === undefined || first === undefined || start + 2 > limit || depth > deepest) return undefined;
	if (first === 0x80) return readOpenBer(bytes, start, limit, depth);
	const size = first > 0x80 ? first - 0x80 : 0;
	const begin = start + 2 + size;
	if (size > 4 || begin > limit) return undefined;
	const end = begin + (size === 0 ? first : bytes.readUIntBE(start + 2, size));
	return end > limit ? undefined : {tag, start, begin, end, next: end};
}

/** Its content goes on until two zeros stand where an element would begin (X.690 section 8.1.5). */
function readOpenBer(bytes: Buffer, start: number, limit: number, depth: number): BerElement | undefined {
	const begin = start + 2;
	for (let at = begin; at + 2 <= limit; ) {
		if (bytes[at] === 0 && bytes[at + 1] === 0) {
			return {tag: bytes[start] as number, start, begin, end: at, next: at + 2};
		}
		const child = readBer(bytes, at, limit, depth + 1);
		if (child === undefined) return undefined;
		at = child.next;
	}
	return undefined;
}

function inside(bytes: Buffer, parent: BerElement): BerElement[] {
	const children: BerElement[] = [];
	for (let at = parent.begin; at < parent.end; ) {
		const child = required(readBer(bytes, at, parent.end, 0));
		children.push(child);
		at = child.next;
	}
	return children;
}

function required<Value>(value: Value | undefined): Value {
	if (value === undefined) throw new Error('It is cut off');
	return value;
}
