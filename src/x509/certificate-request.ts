/** Makes a new key and the request for a certificate of it (PKCS#10, RFC 2986). */
import 'reflect-metadata';
import {webcrypto, type X509Certificate} from 'node:crypto';
import {GatepassError} from '../errors.ts';

/** What kind of key to make. */
export type KeyType =
	| {readonly type: 'rsa'; readonly size: RsaKeySize}
	| {readonly type: 'ecdsa'; readonly curve: EllipticCurve};

/** The grid's CAs take no shorter ones. */
export const rsaKeySizes = [2048, 3072, 4096] as const;
export type RsaKeySize = (typeof rsaKeySizes)[number];

/** Curves by the names that certbot uses, with their names in Web Cryptography and the hash of their strength. */
const curves = {
	secp256r1: {namedCurve: 'P-256', hash: 'SHA-256'},
	secp384r1: {namedCurve: 'P-384', hash: 'SHA-384'},
	secp521r1: {namedCurve: 'P-521', hash: 'SHA-512'},
} as const;
export type EllipticCurve = keyof typeof curves;

/** A new key with the request for its certificate, both in PEM. The key is a secret. */
export interface KeyAndRequest {
	/** PKCS#8, not encrypted. */
	readonly key: string;
	readonly request: string;
}

/** A new key, and a request for `subject`: a common name, or the very subject of the certificate to be renewed. */
export async function makeRequest(
	subject: {readonly commonName: string} | {readonly ofCertificate: X509Certificate},
	keyType: KeyType,
): Promise<KeyAndRequest> {
	// Loaded here: nobody needs X.509 code who makes no requests.
	const x509 = await import('@peculiar/x509');
	const algorithm = algorithmOf(keyType);
	const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
	const name =
		'commonName' in subject
			? new x509.Name([{CN: [commonNameValue(subject.commonName)]}])
			: // Byte by byte, so that no server sees another subject.
				new x509.X509Certificate(new Uint8Array(subject.ofCertificate.raw)).subjectName;
	const request = await x509.Pkcs10CertificateRequestGenerator.create({
		name,
		keys,
		signingAlgorithm: algorithm,
	});
	const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
	return {
		key: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
		request: `${request.toString('pem')}\n`,
	};
}

/** As the grid's CAs want it: PrintableString where the name allows it (RFC 5280 section 4.1.2.4). */
function commonNameValue(name: string): {printableString: string} | {utf8String: string} {
	return /^[A-Za-z0-9 '()+,./:=?-]*$/.test(name) ? {printableString: name} : {utf8String: name};
}

function algorithmOf(key: KeyType): RsaHashedKeyGenParams | (EcKeyGenParams & {hash: string}) {
	if (key.type === 'ecdsa') return {name: 'ECDSA', ...curves[key.curve]};
	return {
		name: 'RSASSA-PKCS1-v1_5',
		hash: 'SHA-256',
		modulusLength: key.size,
		publicExponent: new Uint8Array([1, 0, 1]),
	};
}

type RsaHashedKeyGenParams = webcrypto.RsaHashedKeyGenParams;
type EcKeyGenParams = webcrypto.EcKeyGenParams;

/**
 * The common name of a robot that runs as a service account.
 *
 * @throws {GatepassError} where the account's name does not fit into a subject, or would be read as another one.
 */
export function robotName(serviceAccount: string): string {
	// With 'Robot: ' at most 64 characters (RFC 5280 appendix A.1). A slash or '=' would mislead in the grid's form.
	if (!/^[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,55}[A-Za-z0-9])?$/.test(serviceAccount)) {
		throw new GatepassError({
			code: 'name-malformed',
			what: 'The name of the service account is no such name',
			hint: 'It has at most 57 letters, digits, dots, dashes, underscores and blanks, such as cmsprod',
		});
	}
	return `Robot: ${serviceAccount}`;
}
