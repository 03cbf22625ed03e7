/** The hashes by which a hashed CA folder names its files: `<hash>.0`, `<hash>.signing_policy`. */
import {createHash, type X509Certificate} from 'node:crypto';
import {childrenOf, type DerElement, derTag, readElement} from './der.ts';

/** As `openssl x509 -subject_hash`: SHA-1 over the subject in canonical form. */
export function subjectHash({raw}: X509Certificate): string {
	const subject = subjectOf(raw);
	const sets = subject === undefined ? [] : childrenOf(raw, subject);
	return firstBytes('sha1', Buffer.concat(sets.map(set => canonicalSet(raw, set))));
}

/** As `openssl x509 -subject_hash_old`, which OpenSSL had before 1.0: MD5 over the subject as it stands there. */
export function oldSubjectHash({raw}: X509Certificate): string {
	const subject = subjectOf(raw);
	return firstBytes(
		'md5',
		subject === undefined ? Buffer.alloc(0) : raw.subarray(subject.start, subject.end),
	);
}

/** RFC 5280 section 4.1: version (which may be left out), serial number, algorithm, issuer, validity, subject. */
function subjectOf(raw: Buffer): DerElement | undefined {
	const certificate = readElement(raw);
	const content = certificate && childrenOf(raw, certificate)[0];
	if (content === undefined) return undefined;
	const parts = childrenOf(raw, content);
	return parts[parts[0]?.tag === versionTag ? 5 : 4];
}

const versionTag = 0xa0;

function firstBytes(algorithm: string, bytes: Buffer): string {
	const digest = createHash(algorithm).update(bytes).digest();
	return digest.readUInt32LE(0).toString(16).padStart(8, '0');
}

function canonicalSet(raw: Buffer, set: DerElement): Buffer {
	const attributes = childrenOf(raw, set).map(attribute => {
		const [type, value] = childrenOf(raw, attribute);
		if (type === undefined || value === undefined) return raw.subarray(attribute.start, attribute.end);
		return encode(derTag.sequence, [raw.subarray(type.start, type.end), canonicalValue(raw, value)]);
	});
	return encode(derTag.set, attributes.sort(Buffer.compare));
}

const utf8String = 0x0c;

/** How to read the kinds of strings that count as equal when their letters do. */
const encodings: Readonly<Record<number, (bytes: Buffer) => string>> = {
	[utf8String]: bytes => bytes.toString('utf8'),
	// PrintableString, T61String, IA5String, VisibleString.
	19: bytes => bytes.toString('latin1'),
	20: bytes => bytes.toString('latin1'),
	22: bytes => bytes.toString('latin1'),
	26: bytes => bytes.toString('latin1'),
	// BMPString.
	30: bytes => Buffer.from(bytes).swap16().toString('utf16le'),
};

/** Small letters, and one space for several: as OpenSSL compares names. Only of ASCII, as it does. */
function canonicalValue(raw: Buffer, value: DerElement): Buffer {
	const bytes = raw.subarray(value.begin, value.end);
	const decode = encodings[value.tag];
	if (decode === undefined || (value.tag === 30 && bytes.length % 2 === 1)) {
		return raw.subarray(value.start, value.end);
	}
	const text = decode(bytes)
		.replace(/^[\t-\r ]+|[\t-\r ]+$/g, '')
		.replace(/[\t-\r ]+/g, ' ')
		.replace(/[A-Z]+/g, letters => letters.toLowerCase());
	return encode(utf8String, [Buffer.from(text)]);
}

function encode(tag: number, parts: readonly Buffer[]): Buffer {
	const content = Buffer.concat(parts);
	return Buffer.concat([Buffer.from([tag]), encodeLength(content.length), content]);
}

function encodeLength(length: number): Buffer {
	if (length < 0x80) return Buffer.from([length]);
	const bytes = Buffer.alloc(4);
	bytes.writeUInt32BE(length);
	const significant = bytes.subarray(bytes.findIndex(byte => byte !== 0));
	return Buffer.concat([Buffer.from([0x80 | significant.length]), significant]);
}
