/** Private keys that assertions are signed with, and the algorithms that suit them (RFC 7518, RFC 8037, RFC 9864). */
import {constants, createPrivateKey, type KeyObject, sign} from 'node:crypto';
import {CredentialUnavailableError} from '../../src/errors.ts';
import type {RuleInfo} from '../../src/strategy/index.ts';

/** Fewer bits no library signs with, nor does any server accept them (RFC 7518 section 3.3). */
const fewestRsaBits = 2048;

export interface SigningKey {
	readonly key: KeyObject;
	/** As JWS names it. */
	readonly algorithm: string;
}

/**
 * The key that an option holds.
 *
 * @throws {CredentialUnavailableError} where it is none to sign with.
 */
export function readSigningKey(
	{privateKey, algorithm: named}: {readonly privateKey: string; readonly algorithm?: string | undefined},
	option: string,
	rule: RuleInfo,
): SigningKey {
	const fail = (what: string, hint: string): CredentialUnavailableError =>
		new CredentialUnavailableError({
			code: 'private-key-unusable',
			what: `The '${option}' of the rule for ${rule.match} (${rule.source}) ${what}`,
			hint,
		});
	const key = parseKey(privateKey);
	if (key === undefined) {
		throw fail(
			'is no private key in PEM form, or is encrypted',
			'Give the text of the file, for example as ${file:/run/secrets/key.pem}',
		);
	}
	const suitable = algorithmsFor(key);
	const algorithm = named ?? suitable[0];
	if (algorithm === undefined || !suitable.includes(algorithm)) {
		throw fail(
			`cannot sign with ${algorithm ?? 'any algorithm that servers know'}`,
			suitable.length === 0
				? 'Use an EC key on P-256, P-384 or P-521, an Ed25519 key or an RSA key'
				: `Set 'algorithm' to one of ${suitable.join(', ')}`,
		);
	}
	const bits = key.asymmetricKeyDetails?.modulusLength ?? fewestRsaBits;
	if (bits < fewestRsaBits) throw fail(`has only ${bits} bits`, `Use one of ${fewestRsaBits} or more`);
	return {key, algorithm};
}

/** A JWT with these claims (RFC 7519, RFC 7515 section 3.1). */
export function signJwt(
	{key, algorithm}: SigningKey,
	claims: Readonly<Record<string, unknown>>,
	keyId: string | undefined,
): string {
	const header = {alg: algorithm, typ: 'JWT', ...(keyId !== undefined && {kid: keyId})};
	const input = [header, claims]
		.map(part => Buffer.from(JSON.stringify(part)).toString('base64url'))
		.join('.');
	const digest = /^Ed/.test(algorithm) ? null : `sha${algorithm.slice(-3)}`;
	const signature = sign(digest, Buffer.from(input), {
		key,
		// RFC 7518 section 3.4: the two numbers side by side.
		dsaEncoding: 'ieee-p1363',
		...(algorithm.startsWith('PS') && {
			padding: constants.RSA_PKCS1_PSS_PADDING,
			saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
		}),
	});
	return `${input}.${signature.toString('base64url')}`;
}

/** A key in a variable often has its line ends written as `\n`. The library's error is left out: it could quote the text. */
function parseKey(text: string): KeyObject | undefined {
	try {
		return createPrivateKey(text.replaceAll('\\n', '\n'));
	} catch {
		return undefined;
	}
}

/**
 * JWS algorithms (RFC 7518, RFC 8037, RFC 9864) by kind of key; the first is the default. For Ed25519 that is the
 * older name, the only one that many servers know.
 */
function algorithmsFor({asymmetricKeyType: type, asymmetricKeyDetails: details}: KeyObject): string[] {
	if (type === 'rsa') return ['RS256', 'PS256', 'RS384', 'PS384', 'RS512', 'PS512'];
	if (type === 'ed25519') return ['EdDSA', 'Ed25519'];
	if (type !== 'ec') return [];
	const byCurve: Record<string, string> = {prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512'};
	const algorithm = byCurve[details?.namedCurve ?? ''];
	return algorithm === undefined ? [] : [algorithm];
}

type ImportParameters = Parameters<KeyObject['toCryptoKey']>[0];

const rsa = (name: string, hash: string): ImportParameters => ({name, hash});
const importParameters: Readonly<Record<string, ImportParameters>> = {
	RS256: rsa('RSASSA-PKCS1-v1_5', 'SHA-256'),
	RS384: rsa('RSASSA-PKCS1-v1_5', 'SHA-384'),
	RS512: rsa('RSASSA-PKCS1-v1_5', 'SHA-512'),
	PS256: rsa('RSA-PSS', 'SHA-256'),
	PS384: rsa('RSA-PSS', 'SHA-384'),
	PS512: rsa('RSA-PSS', 'SHA-512'),
	ES256: {name: 'ECDSA', namedCurve: 'P-256'},
	ES384: {name: 'ECDSA', namedCurve: 'P-384'},
	ES512: {name: 'ECDSA', namedCurve: 'P-521'},
	EdDSA: {name: 'Ed25519'},
	Ed25519: {name: 'Ed25519'},
};

/** As WebCrypto takes them. */
export function importParametersOf(algorithm: string): ImportParameters {
	return importParameters[algorithm] as ImportParameters;
}
