/** Whether OpenSSL lets a certificate be shown: it refuses keys and signatures that are too weak (`SSL_CTX_set_security_level`). */
import type {X509Certificate} from 'node:crypto';
import process from 'node:process';
import {createSecureContext} from 'node:tls';
import {isSelfIssued, toPem} from './certificates.ts';
import {childrenOf, derTag, objectIdentifier, readElement} from './der.ts';

/** What is too weak about a certificate. */
export interface Weakness {
	readonly certificate: X509Certificate;
	/** As in `has …`, such as `an RSA key of 1024 bits`. `undefined`: OpenSSL has another reason. */
	readonly what: {readonly key: string} | {readonly hash: string} | undefined;
	/** OpenSSL's own code. */
	readonly code?: string;
}

/** The name of the OpenSSL that this Node was built with. */
export const opensslName = `OpenSSL ${process.versions.openssl}`;

/** The certificate that this OpenSSL does not take, and why. It depends on its version, on its level and on `--tls-cipher-list`. */
export function refusedByOpenssl(chain: readonly X509Certificate[]): Weakness | undefined {
	if (codeFor(chain) === undefined) return undefined;
	// The shortest part of the chain that it does not take ends with the certificate at fault.
	const length = chain.findIndex((_, index) => codeFor(chain.slice(0, index + 1)) !== undefined) + 1;
	const certificate = chain[length - 1] as X509Certificate;
	const code = codeFor(chain.slice(0, length)) as string;
	return {certificate, code, what: weaknessOf(certificate, code)};
}

/** Of what this OpenSSL takes, what others refuse: level 2 is the default of OpenSSL since 3.2 and of many systems before. */
export function refusedByOthers(chain: readonly X509Certificate[]): Weakness | undefined {
	for (const certificate of chain) {
		const what = weaknessOf(certificate, undefined);
		if (what !== undefined) return {certificate, what};
	}
	return undefined;
}

/** OpenSSL's reason against showing these certificates, before any key is needed. */
function codeFor(chain: readonly X509Certificate[]): string | undefined {
	try {
		// Without roots of any kind, this takes a fraction of a millisecond.
		createSecureContext({cert: chain.map(toPem).join(''), ca: []});
		return undefined;
	} catch (error) {
		return String((error as NodeJS.ErrnoException).code);
	}
}

/** `code`: what OpenSSL minds, where it said so. */
function weaknessOf(certificate: X509Certificate, code: string | undefined): Weakness['what'] {
	const isAboutHash = code?.endsWith('_MD_TOO_WEAK');
	if (isAboutHash !== true) {
		const key = weakKeyOf(certificate);
		if (key !== undefined) return {key};
	}
	// Nobody looks at the signature of a root.
	const hash = isSelfIssued(certificate) ? undefined : weakHashOf(certificate);
	return hash === undefined ? undefined : {hash};
}

/** Less than 112 bits of security (NIST SP 800-57). OpenSSL counts 2047 bits of RSA as enough. */
export function weakKeyOf(certificate: X509Certificate): string | undefined {
	try {
		const {asymmetricKeyType: type = '', asymmetricKeyDetails: details = {}} = certificate.publicKey;
		const {modulusLength, namedCurve = ''} = details;
		if (modulusLength !== undefined && modulusLength < 2047) {
			return `${type.startsWith('rsa') ? 'an RSA' : `a ${type.toUpperCase()}`} key of ${modulusLength} bits`;
		}
		const size = Number(/\d{3}/.exec(namedCurve)?.[0] ?? 256);
		return size < 224 ? `an ECDSA key on the curve ${namedCurve}` : undefined;
	} catch {
		// A kind of key that OpenSSL does not know.
		return undefined;
	}
}

/** Signature algorithms with a hash that is broken, by their identifiers. */
const weakHashes: Readonly<Record<string, string>> = {
	'1.2.840.113549.1.1.2': 'MD2',
	'1.2.840.113549.1.1.3': 'MD4',
	'1.2.840.113549.1.1.4': 'MD5',
	'1.2.840.113549.1.1.5': 'SHA-1',
	'1.3.14.3.2.29': 'SHA-1',
	'1.2.840.10040.4.3': 'SHA-1',
	'1.2.840.10045.4.1': 'SHA-1',
};

const rsaPss = '1.2.840.113549.1.1.10';

/** The broken hash that it is signed with. RFC 5280 section 4.1.1.2: the algorithm stands behind what is signed. */
export function weakHashOf({raw}: X509Certificate): string | undefined {
	const certificate = readElement(raw);
	const algorithm = certificate && childrenOf(raw, certificate)[1];
	const [identifier, parameters] = algorithm === undefined ? [] : childrenOf(raw, algorithm);
	if (identifier?.tag !== derTag.objectIdentifier) return undefined;
	const name = objectIdentifier(raw, identifier);
	if (name !== rsaPss) return weakHashes[name];
	// RFC 4055 section 3.1: the hash is the first parameter, and SHA-1 where it is left out.
	const hash = parameters && childrenOf(raw, parameters).find(({tag}) => tag === 0xa0);
	return hash === undefined ? 'SHA-1' : undefined;
}
