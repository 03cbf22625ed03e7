/** The signature of a revocation list (RFC 5280 section 5.1.1), with every algorithm that CAs sign with. */
import {constants, type KeyObject, type VerifyKeyObjectInput, verify} from 'node:crypto';
import {childrenOf, type DerElement, derTag, objectIdentifier, readElement} from '../x509/der.ts';

const digestTag = 0xa0;
/** No identifier of an algorithm is longer, in bytes. */
const longestIdentifier = 32;

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

/** What was signed, how, and with what result. */
export interface ListSignature {
	readonly content: Buffer;
	/** The AlgorithmIdentifier, in DER. */
	readonly algorithm: Buffer;
	readonly signature: Buffer;
}

/** Whether a key made the signature. */
export function isSignatureOf(key: KeyObject, {content, algorithm, signature}: ListSignature): boolean {
	const scheme = schemeOf(key, algorithm);
	try {
		return scheme !== undefined && verify(scheme.digest, content, scheme.key, signature);
	} catch {
		// A key of another kind than the signature.
		return false;
	}
}

/** The same in another thread: to hash 60 MB takes a good part of a second. */
export function verifySignature(
	key: KeyObject,
	{content, algorithm, signature}: ListSignature,
): Promise<boolean> {
	const scheme = schemeOf(key, algorithm);
	if (scheme === undefined) return Promise.resolve(false);
	return new Promise(resolve => {
		try {
			verify(scheme.digest, content, scheme.key, signature, (error, isRight) => {
				resolve(error === null && isRight);
			});
		} catch {
			resolve(false);
		}
	});
}

interface Scheme {
	readonly digest: string | null;
	readonly key: VerifyKeyObjectInput;
}

function schemeOf(key: KeyObject, algorithm: Buffer): Scheme | undefined {
	const sequence = readElement(algorithm);
	const id = sequence && readElement(algorithm, sequence.begin, sequence.end);
	if (sequence === undefined || id === undefined) return undefined;
	const identifier = identifierIn(algorithm, id);
	if (identifier === rsaPss) {
		const digest = pssDigest(algorithm, readElement(algorithm, id.end, sequence.end));
		const padding = constants.RSA_PKCS1_PSS_PADDING;
		const saltLength = constants.RSA_PSS_SALTLEN_AUTO;
		return digest === undefined ? undefined : {digest, key: {key, padding, saltLength}};
	}
	const digest = digests[identifier];
	return digest === undefined ? undefined : {digest, key: {key}};
}

/** RFC 4055 section 3.1: the digest is part [0] of the parameters, SHA-1 where it is left out. */
function pssDigest(bytes: Buffer, parameters: DerElement | undefined): string | undefined {
	if (parameters === undefined) return 'sha1';
	const explicit = childrenOf(bytes, parameters).find(({tag}) => tag === digestTag);
	if (explicit === undefined) return 'sha1';
	const sequence = readElement(bytes, explicit.begin, explicit.end);
	const id = sequence && readElement(bytes, sequence.begin, sequence.end);
	return id && plainDigests[identifierIn(bytes, id)];
}

function identifierIn(bytes: Buffer, id: DerElement): string {
	const isShort = id.tag === derTag.objectIdentifier && id.end - id.begin <= longestIdentifier;
	return isShort ? objectIdentifier(bytes, id) : '';
}
