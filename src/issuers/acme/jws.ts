/** Signs requests with the key of an ACME account (RFC 8555 section 6.2, RFC 7515). */
import {
	createHash,
	createHmac,
	createPrivateKey,
	createPublicKey,
	generateKeyPairSync,
	type KeyObject,
	sign,
} from 'node:crypto';
import {GatepassError} from '../../errors.ts';

/** A flattened JWS. */
export interface Jws {
	readonly protected: string;
	readonly payload: string;
	readonly signature: string;
}

export type Header = Readonly<Record<string, unknown>>;

/** The public key as RFC 7517 has it, with those members alone that its thumbprint is made of (RFC 7638). */
export type PublicJwk = Readonly<Record<string, string>>;

/** What each curve signs with (RFC 7518 section 3.4). */
const ecAlgorithms: Readonly<Record<string, {readonly alg: string; readonly hash: string}>> = {
	'P-256': {alg: 'ES256', hash: 'sha256'},
	'P-384': {alg: 'ES384', hash: 'sha384'},
	'P-521': {alg: 'ES512', hash: 'sha512'},
};

const rsaAlgorithm = {alg: 'RS256', hash: 'sha256'};

const hmacHashes = {HS256: 'sha256', HS384: 'sha384', HS512: 'sha512'} as const;

/** The algorithms of an external account binding. */
export type BindingAlgorithm = keyof typeof hmacHashes;

export class AccountKey {
	readonly jwk: PublicJwk;
	/** RFC 7638, in base64url. */
	readonly thumbprint: string;
	readonly #key: KeyObject;
	readonly #alg: string;
	readonly #hash: string;

	/** @throws {GatepassError} where the key is of no kind that ACME servers take. */
	constructor(key: KeyObject) {
		this.jwk = publicJwk(createPublicKey(key));
		const {kty, crv = ''} = this.jwk;
		({alg: this.#alg, hash: this.#hash} = kty === 'RSA' ? rsaAlgorithm : (ecAlgorithms[crv] ?? rsaAlgorithm));
		this.#key = key;
		this.thumbprint = thumbprint(this.jwk);
	}

	/** A new key, on P-256. */
	static generate(): AccountKey {
		return new AccountKey(generateKeyPairSync('ec', {namedCurve: 'P-256'}).privateKey);
	}

	/** From PKCS#8, SEC1 or PKCS#1 in PEM. */
	static fromPem(pem: string): AccountKey {
		return new AccountKey(createPrivateKey(pem));
	}

	/** PKCS#8 in PEM: a secret. */
	toPem(): string {
		return this.#key.export({type: 'pkcs8', format: 'pem'}) as string;
	}

	/** @param payload an empty string asks for a resource (RFC 8555 section 6.3). */
	sign(header: Header, payload: string): Jws {
		return jws({alg: this.#alg, ...header}, payload, input =>
			sign(this.#hash, input, {key: this.#key, dsaEncoding: 'ieee-p1363'}),
		);
	}

	/** What a challenge is answered with (RFC 8555 section 8.1). */
	keyAuthorization(token: string): string {
		return `${token}.${this.thumbprint}`;
	}
}

/**
 * A public key with those members alone that count, in the order in which they are hashed (RFC 7638 section 3.2).
 *
 * @throws {GatepassError} where the key is of no kind that ACME servers take.
 */
export function publicJwk(key: KeyObject): PublicJwk {
	const {kty = '', crv = '', x = '', y = '', n = '', e = ''} = key.export({format: 'jwk'});
	if (kty === 'EC' && ecAlgorithms[crv] !== undefined) return {crv, kty, x, y};
	if (kty === 'RSA') return {e, kty, n};
	throw new GatepassError({
		code: 'acme-account-key-unsupported',
		what: 'The key of an ACME account has to be an EC key on P-256, P-384 or P-521, or an RSA key',
		hint: '',
	});
}

/** RFC 7638, in base64url. */
export function thumbprint(jwk: PublicJwk): string {
	return createHash('sha256').update(JSON.stringify(jwk)).digest('base64url');
}

/** Binds an account to one that the authority knows otherwise (RFC 8555 section 7.3.4). */
export function bindExternalAccount(
	{
		kid,
		hmacKey,
		algorithm = 'HS256',
	}: {kid: string; hmacKey: string; algorithm?: BindingAlgorithm | undefined},
	url: string,
	key: AccountKey,
): Jws {
	const secret = decodeHmacKey(hmacKey);
	return jws({alg: algorithm, kid, url}, JSON.stringify(key.jwk), input =>
		createHmac(hmacHashes[algorithm], secret).update(input).digest(),
	);
}

/** @throws {GatepassError} where it is no base64url: what is left of it would be another key. */
function decodeHmacKey(text: string): Buffer {
	const plain = text.trim().replace(/=+$/, '').replaceAll('+', '-').replaceAll('/', '_');
	if (!/^[\w-]+$/.test(plain) || plain.length % 4 === 1) {
		throw new GatepassError({
			code: 'account-binding-malformed',
			what: 'The key of the external account binding is no base64',
			hint: 'Copy the whole of it from the authority, without quotes',
		});
	}
	return Buffer.from(plain, 'base64url');
}

function jws(header: Header, payload: string, signer: (input: Buffer) => Buffer): Jws {
	const [head, body] = [JSON.stringify(header), payload].map(text => Buffer.from(text).toString('base64url'));
	const signature = signer(Buffer.from(`${head}.${body}`)).toString('base64url');
	return {protected: head as string, payload: body as string, signature};
}
