/** The algorithms of RFC 9421 section 3.3, and which of them a key is for. */
import {constants, createHmac, type KeyObject, sign} from 'node:crypto';

export const algorithms = [
	'ed25519',
	'ecdsa-p256-sha256',
	'ecdsa-p384-sha384',
	'rsa-pss-sha512',
	'rsa-v1_5-sha256',
	'hmac-sha256',
] as const;

export type Algorithm = (typeof algorithms)[number];

/** The algorithms that a private key can be used with, the usual one first. */
export function algorithmsOf(key: KeyObject): readonly Algorithm[] {
	switch (key.asymmetricKeyType) {
		case 'ed25519':
			return ['ed25519'];
		case 'rsa':
			return ['rsa-pss-sha512', 'rsa-v1_5-sha256'];
		case 'rsa-pss':
			return ['rsa-pss-sha512'];
		case 'ec': {
			const curve = key.asymmetricKeyDetails?.namedCurve;
			if (curve === 'prime256v1') return ['ecdsa-p256-sha256'];
			return curve === 'secp384r1' ? ['ecdsa-p384-sha384'] : [];
		}
		default:
			return [];
	}
}

/** Sign a signature base (RFC 9421 section 2.5). */
export function signBase(base: string, algorithm: Algorithm, key: KeyObject): Buffer {
	const bytes = Buffer.from(base, 'latin1');
	const dsaEncoding = 'ieee-p1363';
	switch (algorithm) {
		case 'ed25519':
			return sign(null, bytes, key);
		case 'ecdsa-p256-sha256':
			return sign('sha256', bytes, {key, dsaEncoding});
		case 'ecdsa-p384-sha384':
			return sign('sha384', bytes, {key, dsaEncoding});
		case 'rsa-pss-sha512':
			return sign('sha512', bytes, {key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64});
		case 'rsa-v1_5-sha256':
			return sign('sha256', bytes, {key, padding: constants.RSA_PKCS1_PADDING});
		case 'hmac-sha256':
			return createHmac('sha256', key).update(bytes).digest();
	}
}
