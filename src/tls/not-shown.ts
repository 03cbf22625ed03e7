/**
 * Client certificates that cannot be shown to a server: it says by which kinds of signature a key may be proven, and
 * where none of them fits the key, OpenSSL shows no certificate and goes on without a word. Many servers then answer as
 * they answer anybody.
 */
import {type KeyObject, X509Certificate} from 'node:crypto';
import type {TLSSocket} from 'node:tls';

/** The certificate was not shown, since the server takes no key like its own. */
export class CertificateNotShown extends Error {
	/** As where a server refuses one by an alert. */
	readonly code = 'EPROTO';
	/** The kind of its key, in words. */
	readonly key: string;
	/** The kinds of keys that the server takes, in words; none that is known: an empty list. */
	readonly accepted: readonly string[];
	/** Such as `TLS 1.2`. */
	readonly version: string;

	constructor(key: string, accepted: readonly string[], version: string, cause?: unknown) {
		super(`The server takes no client certificate with a key of ${key}, so none was shown`, {cause});
		Object.defineProperty(this, 'name', {value: 'CertificateNotShown', configurable: true});
		this.key = key;
		this.accepted = accepted;
		this.version = version;
	}
}

/** The public key of the first certificate; `undefined` where OpenSSL does not know its kind. */
export function publicKeyIn(certificates: string): KeyObject | undefined {
	try {
		return new X509Certificate(certificates).publicKey;
	} catch {
		return undefined;
	}
}

/**
 * The error for a connection whose server has asked for a certificate that cannot be shown to it; `undefined`: it is
 * shown, the server asks for none, or that is not known.
 *
 * @param cause how the connection ended, where it has.
 */
export function notShown(socket: TLSSocket, key: KeyObject, cause?: Error): CertificateNotShown | undefined {
	// Those that both sides know. Only with its wish for a certificate does a server say which it takes.
	const shared = socket.getSharedSigalgs() ?? [];
	const version = socket.getProtocol()?.replace(/^TLSv/, 'TLS ') ?? '';
	if (shared.length === 0) return undefined;
	const isLatest = version === 'TLS 1.3';
	const isWrongCurve = isForeignCurve(key) && /SSL alert number 47\b/.test(cause?.message ?? '');
	if (!isWrongCurve && shared.some(signature => fits(signature, key, isLatest))) return undefined;
	const accepted = new Set(shared.flatMap(signature => kindOf(signature, isLatest) ?? []));
	return new CertificateNotShown(describeKey(key), isWrongCurve ? [] : [...accepted], version, cause);
}

/** TLS 1.3 ties each curve to one hash (RFC 8446 section 4.2.3, RFC 8734); OpenSSL tells the hash alone, not which curve. */
const curves: Readonly<Record<string, {readonly name: string; readonly hash: string}>> = {
	prime256v1: {name: 'P-256', hash: 'SHA256'},
	secp384r1: {name: 'P-384', hash: 'SHA384'},
	secp521r1: {name: 'P-521', hash: 'SHA512'},
	brainpoolP256r1: {name: 'brainpoolP256r1', hash: 'SHA256'},
	brainpoolP384r1: {name: 'brainpoolP384r1', hash: 'SHA384'},
	brainpoolP512r1: {name: 'brainpoolP512r1', hash: 'SHA512'},
};

/** Whether a key can make a signature that OpenSSL calls so: `ECDSA+SHA256`, `Ed25519+UNDEF`. */
function fits(signature: string, key: KeyObject, isLatest: boolean): boolean {
	const [algorithm = '', hash = ''] = signature.split('+');
	const type = key.asymmetricKeyType as string;
	switch (type) {
		case 'rsa':
			return algorithm === 'RSA-PSS' || (algorithm === 'RSA' && !isLatest);
		// Whether the server means keys of this kind, too, or of the kind before alone, OpenSSL does not say.
		case 'rsa-pss':
			return algorithm === 'RSA-PSS';
		case 'dsa':
			return algorithm === 'DSA' && !isLatest;
		case 'ec':
			return algorithm === 'ECDSA' && (!isLatest || curves[curveOf(key)]?.hash === hash);
		case 'ed25519':
		case 'ed448':
			return algorithm.toLowerCase() === type;
		default:
			// Of a kind that is younger than this file, nothing is known.
			return !type.startsWith('ml-dsa-') || (isLatest && algorithm.toLowerCase().endsWith(type));
	}
}

/** The kind of key that makes such a signature. */
function kindOf(signature: string, isLatest: boolean): string | undefined {
	const [algorithm = '', hash = ''] = signature.split('+');
	if (algorithm === 'RSA-PSS') return 'RSA';
	if (algorithm === 'RSA') return isLatest ? undefined : 'RSA';
	// Browsers and authorities gave it up long ago; OpenSSL still names it.
	if (algorithm === 'DSA') return undefined;
	if (algorithm !== 'ECDSA') return algorithm.replace(/^id-ml-dsa/i, 'ML-DSA');
	if (!isLatest) return 'ECDSA';
	const curve = Object.values(curves).find(one => one.hash === hash);
	return curve === undefined ? undefined : `ECDSA (${curve.name})`;
}

function describeKey(key: KeyObject): string {
	const type = key.asymmetricKeyType as string;
	if (type === 'ec') return `ECDSA (${curves[curveOf(key)]?.name ?? curveOf(key)})`;
	return type.startsWith('ed') ? `Ed${type.slice(2)}` : type.toUpperCase();
}

/** Before TLS 1.3, a server tells curves with the rest of what it can, and not for certificates. */
function isForeignCurve(key: KeyObject): boolean {
	return key.asymmetricKeyType === 'ec' && !/^P-/.test(curves[curveOf(key)]?.name ?? '');
}

function curveOf(key: KeyObject): string {
	return key.asymmetricKeyDetails?.namedCurve ?? '';
}
