/** Certificate requests (PKCS#10, RFC 2986) for an order: made here, or elsewhere and checked before anything is ordered. */
import {createPublicKey, generateKeyPairSync, type KeyObject, sign} from 'node:crypto';
import {isIP} from 'node:net';
import type {Pkcs10CertificateRequest} from '@peculiar/x509';
import type {CertificateKeyType} from '../../config/certificate-settings.ts';
import {GatepassError} from '../../errors.ts';
import {
	bitString,
	element,
	identifier,
	integer,
	octets,
	sequence,
	set,
	tagged,
} from '../../x509/der-writer.ts';
import {generalName} from '../../x509/general-name.ts';
import type {Identifier} from './order.ts';

const curves = {secp256r1: 'P-256', secp384r1: 'P-384'} as const;

/** A new private key: ECDSA on P-256, unless told otherwise. */
export function generateCertificateKey(key: CertificateKeyType = {type: 'ecdsa'}): KeyObject {
	if (key.type === 'rsa') return generateKeyPairSync('rsa', {modulusLength: key.size ?? 2048}).privateKey;
	return generateKeyPairSync('ec', {namedCurve: curves[key.curve ?? 'secp256r1']}).privateKey;
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

/**
 * A request for these names, signed with the key; DER. Subjects have been empty for years: clients read the names. Written
 * here, since a library for X.509 takes longer to load than the order takes.
 */
export function makeCertificateRequest(key: KeyObject, identifiers: readonly Identifier[]): Uint8Array {
	const {hash, algorithm} = signatureOf(key);
	const names = sequence(...identifiers.map(({value}) => generalName(value)));
	const extensions = sequence(sequence(identifier('2.5.29.17'), octets(names)));
	const toBeSigned = sequence(
		integer(Buffer.of(0)),
		sequence(),
		createPublicKey(key).export({type: 'spki', format: 'der'}),
		tagged(0, sequence(identifier('1.2.840.113549.1.9.14'), set(extensions))),
	);
	return new Uint8Array(sequence(toBeSigned, algorithm, bitString(sign(hash, toBeSigned, key))));
}

/**
 * A request that was made elsewhere: its DER, and the names in it.
 *
 * @throws {GatepassError} where it is none, its signature is wrong, or its names do not stand where authorities look.
 */
export async function readCertificateRequest(
	content: string | Uint8Array,
): Promise<{request: Uint8Array; identifiers: Identifier[]}> {
	const request = await parse(content);
	if (request === undefined) {
		throw new GatepassError({
			code: 'certificate-request-malformed',
			what: 'This is no certificate request',
			hint: "Make one with 'openssl req -new', in PEM or DER",
		});
	}
	if (!(await request.verify())) {
		throw new GatepassError({
			code: 'certificate-request-malformed',
			what: 'The signature of the certificate request is wrong',
			hint: 'Make it again',
		});
	}
	const x509 = await loadX509();
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
	const privateKey = await readKey(key);
	if (privateKey === undefined) {
		throw new GatepassError({
			code: 'key-damaged',
			what: 'The private key is not valid',
			hint: 'Give one in PEM or DER, without a passphrase',
		});
	}
	if (request === undefined) return;
	const requested = await parse(request);
	if (requested === undefined || !(await requested.verify().catch(() => false))) {
		throw new GatepassError({
			code: 'certificate-request-malformed',
			what: 'The certificate request is not valid',
			hint: 'Make it again',
		});
	}
	const own = createPublicKey(privateKey).export({type: 'spki', format: 'der'});
	if (!own.equals(Buffer.from(requested.publicKey.rawData))) {
		throw new GatepassError({
			code: 'key-does-not-match',
			what: 'The private key and the certificate request do not match',
			hint: 'Make the request again with this key',
		});
	}
}

async function readKey(content: string | Uint8Array): Promise<KeyObject | undefined> {
	const {parsePrivateKey} = await import('../../x509/private-keys.ts');
	try {
		return parsePrivateKey(Buffer.from(content as Uint8Array), '');
	} catch {
		return undefined;
	}
}

/** `undefined`: it is no request. In PEM, what stands around it is passed over. */
async function parse(content: string | Uint8Array): Promise<Pkcs10CertificateRequest | undefined> {
	const {Pkcs10CertificateRequest} = await loadX509();
	const text = typeof content === 'string' ? content : Buffer.from(content).toString('latin1');
	const [pem] =
		/-----BEGIN (NEW )?CERTIFICATE REQUEST-----[^-]+-----END \1?CERTIFICATE REQUEST-----/.exec(text) ?? [];
	try {
		return new Pkcs10CertificateRequest(
			pem?.replaceAll(' NEW ', ' ') ?? (typeof content === 'string' ? content : new Uint8Array(content)),
		);
	} catch {
		return undefined;
	}
}

/** For requests of others; the library does not start without the polyfill. */
async function loadX509(): Promise<typeof import('@peculiar/x509')> {
	await import('reflect-metadata');
	return import('@peculiar/x509');
}

/** The hash to sign with, and what the signature is called (RFC 5758 section 3.2, RFC 4055 section 5). */
function signatureOf(key: KeyObject): {hash: 'sha256' | 'sha384'; algorithm: Buffer} {
	if (key.asymmetricKeyType === 'rsa') {
		return {hash: 'sha256', algorithm: sequence(identifier('1.2.840.113549.1.1.11'), element(0x05))};
	}
	const curve = key.asymmetricKeyType === 'ec' ? key.asymmetricKeyDetails?.namedCurve : undefined;
	if (curve === 'prime256v1') return {hash: 'sha256', algorithm: sequence(identifier('1.2.840.10045.4.3.2'))};
	if (curve === 'secp384r1') return {hash: 'sha384', algorithm: sequence(identifier('1.2.840.10045.4.3.3'))};
	throw new GatepassError({
		code: 'acme-key-refused',
		what: 'The key is of no kind that authorities take',
		hint: 'Use RSA, or ECDSA on P-256 or P-384',
	});
}
