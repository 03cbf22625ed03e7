/** Certificate requests (PKCS#10, RFC 2986) for an order: made here, or elsewhere and checked before anything is ordered. */
import 'reflect-metadata';
import {
	createPrivateKey,
	createPublicKey,
	generateKeyPairSync,
	type KeyObject,
	type webcrypto,
} from 'node:crypto';
import {isIP} from 'node:net';
import type {CertificateKeyType} from '../../config/certificate-settings.ts';
import {GatepassError} from '../../errors.ts';
import type {Identifier} from './order.ts';

const curves = {secp256r1: ['P-256', 'SHA-256'], secp384r1: ['P-384', 'SHA-384']} as const;

/** A new private key: ECDSA on P-256, unless told otherwise. */
export function generateCertificateKey(key: CertificateKeyType = {type: 'ecdsa'}): KeyObject {
	if (key.type === 'rsa') return generateKeyPairSync('rsa', {modulusLength: key.size ?? 2048}).privateKey;
	return generateKeyPairSync('ec', {namedCurve: curves[key.curve ?? 'secp256r1'][0]}).privateKey;
}

/** What a person writes, as an order has it: an address is one, all else is a name. */
export function identifierOf(domain: string): Identifier {
	const value = domain.trim().toLowerCase();
	if (isIP(value) !== 0) return {type: 'ip', value};
	const name = URL.parse(`https://${value.replace(/^\*\./, '')}`)?.hostname;
	if (name === undefined || name === '' || !/^[\p{L}\p{N}_.-]+$/u.test(value.replace(/^\*\./, ''))) {
		throw new GatepassError({
			code: 'name-malformed',
			what: `'${domain}' is no name and no address`,
			hint: 'Write one, such as www.example.org or *.example.org',
		});
	}
	return {type: 'dns', value: value.startsWith('*.') ? `*.${name}` : name};
}

/** A request for these names, signed with the key; DER. Subjects have been empty for years: clients read the names. */
export async function makeCertificateRequest(
	key: KeyObject,
	identifiers: readonly Identifier[],
): Promise<Uint8Array> {
	const x509 = await import('@peculiar/x509');
	const algorithm = algorithmOf(key);
	const keys = {
		privateKey: key.toCryptoKey(algorithm, false, ['sign']) as webcrypto.CryptoKey,
		publicKey: createPublicKey(key).toCryptoKey(algorithm, true, ['verify']) as webcrypto.CryptoKey,
	};
	const request = await x509.Pkcs10CertificateRequestGenerator.create({
		keys,
		signingAlgorithm: algorithm,
		extensions: [
			new x509.SubjectAlternativeNameExtension(identifiers.map(({type, value}) => ({type, value}))),
		],
	});
	return new Uint8Array(request.rawData);
}

/**
 * A request that was made elsewhere: its DER, and the names in it.
 *
 * @throws {GatepassError} where it is none, its signature is wrong, or its names do not stand where authorities look.
 */
export async function readCertificateRequest(
	content: string | Uint8Array,
): Promise<{request: Uint8Array; identifiers: Identifier[]}> {
	const x509 = await import('@peculiar/x509');
	let request: InstanceType<typeof x509.Pkcs10CertificateRequest>;
	try {
		request = new x509.Pkcs10CertificateRequest(
			typeof content === 'string' ? content : new Uint8Array(content),
		);
	} catch {
		throw new GatepassError({
			code: 'name-malformed',
			what: 'This is no certificate request',
			hint: "Make one with 'openssl req -new', in PEM or DER",
		});
	}
	if (!(await request.verify())) {
		throw new GatepassError({
			code: 'name-malformed',
			what: 'The signature of the certificate request is wrong',
			hint: 'Make it again',
		});
	}
	const names = request.getExtension('2.5.29.17') as InstanceType<
		typeof x509.SubjectAlternativeNameExtension
	> | null;
	const identifiers = (names?.names.items ?? []).flatMap(({type, value}): Identifier[] =>
		type === 'dns' || type === 'ip' ? [{type, value: value.toLowerCase()}] : [],
	);
	if (identifiers.length === 0) {
		throw new GatepassError({
			code: 'name-malformed',
			what: 'The certificate request names nothing under subjectAltName, and authorities read names nowhere else',
			hint: "Make it again with '-addext subjectAltName=DNS:www.example.org'",
		});
	}
	return {request: new Uint8Array(request.rawData), identifiers};
}

/**
 * Whether a key, and a request if there is one, can be used: certbot's `validate_key_csr`.
 *
 * @throws {GatepassError} with one of three messages: the key is invalid, the request is, or they do not match.
 */
export async function validateKeyCsr(key: string | Uint8Array, request?: string | Uint8Array): Promise<void> {
	let privateKey: KeyObject;
	try {
		privateKey = createPrivateKey(typeof key === 'string' ? key : Buffer.from(key));
	} catch {
		throw new GatepassError({
			code: 'name-malformed',
			what: 'The private key is not valid',
			hint: 'Give one in PEM, without a passphrase',
		});
	}
	if (request === undefined) return;
	const x509 = await import('@peculiar/x509');
	let requested: InstanceType<typeof x509.Pkcs10CertificateRequest>;
	try {
		requested = new x509.Pkcs10CertificateRequest(
			typeof request === 'string' ? request : new Uint8Array(request),
		);
		if (!(await requested.verify())) throw new Error('signature');
	} catch {
		throw new GatepassError({
			code: 'name-malformed',
			what: 'The certificate request is not valid',
			hint: 'Make it again',
		});
	}
	const own = createPublicKey(privateKey).export({type: 'spki', format: 'der'});
	if (!own.equals(Buffer.from(requested.publicKey.rawData))) {
		throw new GatepassError({
			code: 'name-malformed',
			what: 'The private key and the certificate request do not match',
			hint: 'Make the request again with this key',
		});
	}
}

function algorithmOf(
	key: KeyObject,
): (webcrypto.EcKeyImportParams & {hash: string}) | webcrypto.RsaHashedImportParams {
	if (key.asymmetricKeyType === 'rsa') return {name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256'};
	const curve = Object.values(curves).find(
		([name]) => key.asymmetricKeyDetails?.namedCurve === opensslNames[name],
	);
	if (key.asymmetricKeyType !== 'ec' || curve === undefined) {
		throw new GatepassError({
			code: 'name-malformed',
			what: 'The key is of no kind that authorities take',
			hint: 'Use RSA, or ECDSA on P-256 or P-384',
		});
	}
	return {name: 'ECDSA', namedCurve: curve[0], hash: curve[1]};
}

const opensslNames = {'P-256': 'prime256v1', 'P-384': 'secp384r1'} as const;
