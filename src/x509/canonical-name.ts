/**
 * Names of certificates in the form in which they are compared (RFC 5280 section 7.1): without regard to capital
 * letters, to the number of blanks, to blanks at the ends, and to the kind of string. Just as OpenSSL makes it
 * (`x509_name_canon`), because servers compare so, and hashed CA folders name their files by it.
 */
import type {X509Certificate} from 'node:crypto';
import {childrenOf, type DerElement, derTag, readElement} from './der.ts';

/** Subject and issuer of a certificate: two names are equal if and only if these texts are. They are not for people. */
export interface CanonicalNames {
	readonly subject: string;
	readonly issuer: string;
}

const kept = new WeakMap<X509Certificate, CanonicalNames>();

/** Made once for each certificate: chains are searched by them. */
export function canonicalNames(certificate: X509Certificate): CanonicalNames {
	let names = kept.get(certificate);
	if (names === undefined) {
		const {raw} = certificate;
		const elements = namesIn(raw);
		names =
			elements === undefined
				? // No DER, though OpenSSL takes it.
					{subject: certificate.subject ?? '', issuer: certificate.issuer ?? ''}
				: {
						subject: canonicalName(raw, elements.subject).toString('latin1'),
						issuer: canonicalName(raw, elements.issuer).toString('latin1'),
					};
		kept.set(certificate, names);
	}
	return names;
}

/** The canonical form of a name: its parts, without the sequence around them. */
export function canonicalName(bytes: Buffer, name: DerElement): Buffer {
	return Buffer.concat(childrenOf(bytes, name).map(set => canonicalSet(bytes, set)));
}

const versionTag = 0xa0;

/** RFC 5280 section 4.1: version (which may be left out), serial number, algorithm, issuer, validity, subject. */
export function namesIn(raw: Buffer): {subject: DerElement; issuer: DerElement} | undefined {
	const certificate = readElement(raw);
	const content = certificate && childrenOf(raw, certificate)[0];
	if (content === undefined) return undefined;
	const parts = childrenOf(raw, content);
	const first = parts[0]?.tag === versionTag ? 1 : 0;
	const [issuer, subject] = [parts[first + 2], parts[first + 4]];
	return issuer === undefined || subject === undefined ? undefined : {issuer, subject};
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
const bmpString = 0x1e;
const universalString = 0x1c;

/** How to read the kinds of strings that count as equal when their letters do; so many bytes make a letter. */
const encodings: Readonly<Record<number, {size: number; decode: (bytes: Buffer) => string}>> = {
	[utf8String]: {size: 1, decode: bytes => bytes.toString('utf8')},
	// PrintableString, T61String, IA5String, VisibleString.
	19: {size: 1, decode: bytes => bytes.toString('latin1')},
	20: {size: 1, decode: bytes => bytes.toString('latin1')},
	22: {size: 1, decode: bytes => bytes.toString('latin1')},
	26: {size: 1, decode: bytes => bytes.toString('latin1')},
	[bmpString]: {size: 2, decode: bytes => Buffer.from(bytes).swap16().toString('utf16le')},
	[universalString]: {size: 4, decode: fromUtf32},
};

/** Small letters, and one space for several: as OpenSSL compares names. Only of ASCII, as it does. */
function canonicalValue(raw: Buffer, value: DerElement): Buffer {
	const bytes = raw.subarray(value.begin, value.end);
	const encoding = encodings[value.tag];
	if (encoding === undefined || bytes.length % encoding.size !== 0) {
		return raw.subarray(value.start, value.end);
	}
	const text = encoding
		.decode(bytes)
		.replace(/^[\t-\r ]+/, '')
		.replace(/[\t-\r ]+/g, ' ')
		.replace(/ $/, '')
		.replace(/[A-Z]+/g, letters => letters.toLowerCase());
	return encode(utf8String, [Buffer.from(text)]);
}

function fromUtf32(bytes: Buffer): string {
	let text = '';
	for (let at = 0; at < bytes.length; at += 4) {
		const point = bytes.readUInt32BE(at);
		text += String.fromCodePoint(point <= 0x10ffff ? point : 0xfffd);
	}
	return text;
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
