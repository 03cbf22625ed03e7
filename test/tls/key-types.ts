/**
 * The kinds of keys of client certificates, and over which version of TLS each is shown. The tests show them to a server
 * that takes all that its OpenSSL takes; docs/certificates.md has the same table.
 */
import {generateKeyPairSync, type KeyPairKeyObjectResult} from 'node:crypto';
import type {SecureVersion} from 'node:tls';

export interface KeyType {
	/** Of the files of the tests. */
	readonly name: string;
	readonly title: string;
	make(): KeyPairKeyObjectResult;
	/** Over which versions it is shown. Over the others, it is an error. */
	readonly versions: readonly SecureVersion[];
}

const generate = generateKeyPairSync as unknown as (type: string, options?: object) => KeyPairKeyObjectResult;
const both: readonly SecureVersion[] = ['TLSv1.2', 'TLSv1.3'];
const latest: readonly SecureVersion[] = ['TLSv1.3'];

const keyType = (
	name: string,
	title: string,
	versions: readonly SecureVersion[],
	kind: string,
	options?: object,
): KeyType => ({name, title, versions, make: () => generate(kind, options)});

export const keyTypes: readonly KeyType[] = [
	keyType('rsa', 'RSA', both, 'rsa', {modulusLength: 2048}),
	keyType('rsa-pss', 'RSA-PSS', both, 'rsa-pss', {modulusLength: 2048}),
	keyType('P-256', 'ECDSA, P-256', both, 'ec', {namedCurve: 'P-256'}),
	keyType('P-384', 'ECDSA, P-384', both, 'ec', {namedCurve: 'P-384'}),
	keyType('P-521', 'ECDSA, P-521', both, 'ec', {namedCurve: 'P-521'}),
	keyType('brainpool', 'ECDSA, brainpoolP256r1', latest, 'ec', {namedCurve: 'brainpoolP256r1'}),
	keyType('secp256k1', 'ECDSA, secp256k1', [], 'ec', {namedCurve: 'secp256k1'}),
	keyType('ed25519', 'Ed25519', both, 'ed25519'),
	keyType('ed448', 'Ed448', both, 'ed448'),
	keyType('ml-dsa-44', 'ML-DSA-44', latest, 'ml-dsa-44'),
	keyType('ml-dsa-65', 'ML-DSA-65', latest, 'ml-dsa-65'),
	keyType('ml-dsa-87', 'ML-DSA-87', latest, 'ml-dsa-87'),
];

/** Those that the Node that runs this knows: the lowest one has an OpenSSL without ML-DSA. */
export const knownKeyTypes = keyTypes.filter(({make}) => {
	try {
		make();
		return true;
	} catch {
		return false;
	}
});
