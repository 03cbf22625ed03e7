/**
 * Certificate revocation lists (RFC 5280 section 5). Read here rather than with a library of ASN.1, whose objects for
 * each of 100,000 entries take seconds and hundreds of megabytes.
 */
import {constants, type KeyObject, verify, type X509Certificate} from 'node:crypto';
import {childrenOf, type DerElement, derTag, objectIdentifier, readElement} from '../x509/der.ts';
import {pemBlocks} from '../x509/pem.ts';

const tag = {version: 0xa0, extensions: 0xa0, digest: 0xa0, utcTime: 0x17, generalizedTime: 0x18} as const;

/** Algorithms of signatures by their identifiers, with their digests. MD5 is broken, so it is not among them. */
const digests: Readonly<Record<string, string | null>> = {
	'1.2.840.113549.1.1.5': 'sha1',
	'1.2.840.113549.1.1.11': 'sha256',
	'1.2.840.113549.1.1.12': 'sha384',
	'1.2.840.113549.1.1.13': 'sha512',
	'1.2.840.113549.1.1.14': 'sha224',
	'1.2.840.10045.4.1': 'sha1',
	'1.2.840.10045.4.3.1': 'sha224',
	'1.2.840.10045.4.3.2': 'sha256',
	'1.2.840.10045.4.3.3': 'sha384',
	'1.2.840.10045.4.3.4': 'sha512',
	'1.3.101.112': null,
	'1.3.101.113': null,
};
const rsaPss = '1.2.840.113549.1.1.10';
const plainDigests: Readonly<Record<string, string>> = {
	'1.3.14.3.2.26': 'sha1',
	'2.16.840.1.101.3.4.2.1': 'sha256',
	'2.16.840.1.101.3.4.2.2': 'sha384',
	'2.16.840.1.101.3.4.2.3': 'sha512',
	'2.16.840.1.101.3.4.2.4': 'sha224',
};

/** Extensions of a list (RFC 5280 section 5.2) that change what it says. */
const deltaIndicator = '2.5.29.27';
const issuingDistributionPoint = '2.5.29.28';
/** Those say nothing that matters here, also where they are critical. */
const harmless = ['2.5.29.35', '2.5.29.20', '2.5.29.18', '2.5.29.46', '1.3.6.1.5.5.7.1.1'];

/** One revocation list, whose signature is yet to be verified. */
export interface RevocationList {
	/** Milliseconds since 1970. */
	readonly thisUpdate: number;
	/** When the CA issues the next one, in milliseconds since 1970; it need not say. */
	readonly nextUpdate: number | undefined;
	/** How many certificates it names. Reads the entries, and throws where one is damaged. */
	readonly size: number;
	/** Whether it tells all that is to be told: a list for some kinds of certificates, for example, does not. */
	readonly isComplete: boolean;
	/** Whether that CA signed it, with its key, under whichever name; and all of it can be read. */
	isSignedBy(authority: X509Certificate): boolean;
	/** Whether it names a certificate of its CA. Throws likewise; ask it only of a list that is signed. */
	revokes(certificate: X509Certificate): boolean;
}

/**
 * Read a list in DER or in PEM.
 *
 * @throws {Error} that says in half a sentence what is wrong.
 */
export function parseRevocationList(bytes: Buffer): RevocationList {
	const der = bytes[0] === derTag.sequence ? bytes : fromPem(bytes);
	const list = whole(der, readElement(der), derTag.sequence);
	const [content, algorithm, signature] = parts(der, list);
	if (content?.tag !== derTag.sequence || algorithm === undefined || signature?.tag !== derTag.bitString) {
		throw damaged();
	}
	const fields = parts(der, content);
	// The version may be left out.
	let at = fields[0]?.tag === derTag.integer ? 1 : 0;
	const inner = whole(der, fields[at++], derTag.sequence);
	// RFC 5280 section 5.1.1.2: what is signed with stands in what is signed, too.
	const isSame = der.subarray(inner.start, inner.end).equals(der.subarray(algorithm.start, algorithm.end));
	// All bits of the last byte count: that is what the first one says.
	if (!isSame || der[signature.begin] !== 0) throw damaged();
	// The issuer's name. What counts is whose key the signature is of.
	whole(der, fields[at++], derTag.sequence);
	const thisUpdate = timeOf(der, fields[at++]);
	const nextUpdate = isTime(fields[at]) ? timeOf(der, fields[at++]) : undefined;
	if (thisUpdate === undefined) throw damaged();
	const entries = fields[at]?.tag === derTag.sequence ? fields[at++] : undefined;
	// Anybody can send millions of them, which take seconds: they are read once the signature is known to be right.
	let serials: ReadonlySet<string> | undefined;
	const revoked = (): ReadonlySet<string> => {
		serials ??= serialsOf(der, entries);
		return serials;
	};
	const scope = scopeOf(der, fields[at]);
	return {
		thisUpdate,
		nextUpdate,
		get size() {
			return revoked().size;
		},
		isComplete: scope === 'all',
		isSignedBy: authority =>
			isSignatureOf(
				authority.publicKey,
				der.subarray(content.start, content.end),
				der.subarray(algorithm.start, algorithm.end),
				der.subarray(signature.begin + 1, signature.end),
			) && canBeDone(revoked),
		revokes: certificate => revoked().has(serialOf(certificate)),
	};
}

/** A CA that signs nonsense has no list. */
function canBeDone(work: () => unknown): boolean {
	try {
		work();
		return true;
	} catch {
		return false;
	}
}

function fromPem(bytes: Buffer): Buffer {
	const block = pemBlocks(bytes).find(({label}) => label === 'X509 CRL');
	if (block === undefined) throw new Error('holds no revocation list');
	if (!block.isWhole) throw damaged();
	return Buffer.from(block.base64, 'base64');
}

function damaged(): Error {
	return new Error('holds a revocation list that is damaged or cut off');
}

function whole(bytes: Buffer, element: DerElement | undefined, expected: number): DerElement {
	if (element === undefined || element.tag !== expected || element.end > bytes.length) throw damaged();
	return element;
}

/** The elements inside one, of which none may be cut off. */
function parts(bytes: Buffer, parent: DerElement): DerElement[] {
	const children = childrenOf(bytes, parent);
	if ((children.at(-1)?.end ?? parent.begin) !== parent.end) throw damaged();
	return children;
}

/** The serial numbers in a list of entries. There may be 100,000 of them, so no object is kept for any. */
function serialsOf(bytes: Buffer, list: DerElement | undefined): Set<string> {
	const serials = new Set<string>();
	if (list === undefined) return serials;
	for (let at = list.begin; at < list.end; ) {
		const entry = readElement(bytes, at, list.end);
		const serial = entry && readElement(bytes, entry.begin, entry.end);
		if (entry?.tag !== derTag.sequence || serial?.tag !== derTag.integer) throw damaged();
		serials.add(bytes.toString('latin1', serial.begin, serial.end));
		at = entry.end;
	}
	return serials;
}

/** What certificates of its CA the list is about. */
function scopeOf(bytes: Buffer, extensions: DerElement | undefined): 'all' | 'some' {
	if (extensions === undefined) return 'all';
	if (extensions.tag !== tag.extensions) throw damaged();
	const [list] = parts(bytes, extensions);
	let scope: 'all' | 'some' = 'all';
	for (const extension of parts(bytes, whole(bytes, list, derTag.sequence))) {
		const [id, second] = parts(bytes, extension);
		const identifier = objectIdentifier(bytes, whole(bytes, id, derTag.objectIdentifier));
		const isCritical = second?.tag === derTag.boolean && bytes[second.begin] !== 0;
		if (identifier === deltaIndicator) throw new Error('holds only the changes to another revocation list');
		if (identifier === issuingDistributionPoint) {
			const value = parts(bytes, extension).at(-1);
			const point = value && readElement(bytes, value.begin, value.end);
			if (point === undefined) throw damaged();
			// [4] indirectCRL: the entries are about certificates of other CAs.
			if (parts(bytes, point).some(part => part.tag === 0x84 && bytes[part.begin] !== 0)) {
				throw new Error('holds a revocation list for several CAs');
			}
			// [0] is where it comes from; all else says what it leaves out.
			if (parts(bytes, point).some(part => part.tag !== 0xa0)) scope = 'some';
		} else if (isCritical && !harmless.includes(identifier)) {
			// RFC 5280 section 5.2: what it does not name may be revoked all the same.
			scope = 'some';
		}
	}
	return scope;
}

function isTime(element: DerElement | undefined): boolean {
	return element?.tag === tag.utcTime || element?.tag === tag.generalizedTime;
}

/** RFC 5280 section 5.1.2.4: `YYMMDDHHMMSSZ`, or from 2050 on with four digits for the year. */
function timeOf(bytes: Buffer, element: DerElement | undefined): number | undefined {
	if (element === undefined || !isTime(element)) return undefined;
	const text = bytes.toString('latin1', element.begin, element.end);
	const written =
		element.tag === tag.utcTime ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text;
	const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(written);
	if (match === null) throw damaged();
	const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
	return Date.UTC(year, month - 1, day, hour, minute, second);
}

function isSignatureOf(key: KeyObject, content: Buffer, algorithm: Buffer, signature: Buffer): boolean {
	const sequence = readElement(algorithm);
	const [id, parameters] = sequence === undefined ? [] : childrenOf(algorithm, sequence);
	if (id?.tag !== derTag.objectIdentifier) return false;
	const identifier = objectIdentifier(algorithm, id);
	try {
		if (identifier === rsaPss) {
			const digest = pssDigest(algorithm, parameters);
			const padding = constants.RSA_PKCS1_PSS_PADDING;
			const saltLength = constants.RSA_PSS_SALTLEN_AUTO;
			return digest !== undefined && verify(digest, content, {key, padding, saltLength}, signature);
		}
		const digest = digests[identifier];
		return digest !== undefined && verify(digest, content, key, signature);
	} catch {
		// A key of another kind than the signature.
		return false;
	}
}

/** RFC 4055 section 3.1: the digest is part [0] of the parameters, SHA-1 where it is left out. */
function pssDigest(bytes: Buffer, parameters: DerElement | undefined): string | undefined {
	if (parameters === undefined) return 'sha1';
	const explicit = childrenOf(bytes, parameters).find(({tag: found}) => found === tag.digest);
	if (explicit === undefined) return 'sha1';
	const sequence = childrenOf(bytes, explicit)[0];
	const id = sequence && childrenOf(bytes, sequence)[0];
	return id && plainDigests[objectIdentifier(bytes, id)];
}

/** RFC 5280 section 4.1: after the version, which may be left out. The very bytes of it. */
function serialOf({raw}: X509Certificate): string {
	const certificate = readElement(raw);
	const content = certificate && childrenOf(raw, certificate)[0];
	const fields = content === undefined ? [] : childrenOf(raw, content);
	const field = fields[0]?.tag === tag.version ? fields[1] : fields[0];
	return field === undefined ? '' : raw.toString('latin1', field.begin, field.end);
}
