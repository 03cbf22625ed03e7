/**
 * Opens what is encrypted with a passphrase: PBES2 and PBES1 (RFC 8018), and the schemes of PKCS#12 (RFC 7292 appendix
 * C). The parameters are read here, as strictly as DER is, and nobody else reads them: what is counted is what is done.
 */
import {childrenOf, type DerElement, derTag, objectIdentifier, readElement} from './der.ts';
import {
	bmpPassphrase,
	deriveByPbkdf1,
	deriveByPbkdf2,
	deriveByPkcs12,
	deriveByScrypt,
	purpose,
} from './key-derivation.ts';
import {type Cipher, decipher, UnsupportedScheme} from './old-ciphers.ts';
import {TooMuchWork, type WorkBudget} from './work-budget.ts';

/** `null` is no passphrase at all, which PKCS#12 tells from an empty one. */
export type Passphrase = string | null;

const pbes2 = '1.2.840.113549.1.5.13';
const pbkdf2 = '1.2.840.113549.1.5.12';
const scryptFunction = '1.3.6.1.4.1.11591.4.11';
const hmacWithSha1 = '1.2.840.113549.2.7';

/** HMAC with a hash. */
const pseudorandomFunctions: Readonly<Record<string, string>> = {
	[hmacWithSha1]: 'sha1',
	'1.2.840.113549.2.8': 'sha224',
	'1.2.840.113549.2.9': 'sha256',
	'1.2.840.113549.2.10': 'sha384',
	'1.2.840.113549.2.11': 'sha512',
	'1.2.840.113549.2.12': 'sha512-224',
	'1.2.840.113549.2.13': 'sha512-256',
};

/** Of PBES2, with the bytes of their keys. */
const ciphers: Readonly<Record<string, Cipher>> = {
	'2.16.840.1.101.3.4.1.2': {name: 'aes-128-cbc', keyLength: 16},
	'2.16.840.1.101.3.4.1.22': {name: 'aes-192-cbc', keyLength: 24},
	'2.16.840.1.101.3.4.1.42': {name: 'aes-256-cbc', keyLength: 32},
	'1.2.392.200011.61.1.1.1.2': {name: 'camellia-128-cbc', keyLength: 16},
	'1.2.392.200011.61.1.1.1.3': {name: 'camellia-192-cbc', keyLength: 24},
	'1.2.392.200011.61.1.1.1.4': {name: 'camellia-256-cbc', keyLength: 32},
	'1.2.410.200046.1.1.2': {name: 'aria-128-cbc', keyLength: 16},
	'1.2.410.200046.1.1.7': {name: 'aria-192-cbc', keyLength: 24},
	'1.2.410.200046.1.1.12': {name: 'aria-256-cbc', keyLength: 32},
	'1.2.156.10197.1.104.2': {name: 'sm4-cbc', keyLength: 16},
	'1.2.840.113549.3.7': {name: 'des-ede3-cbc', keyLength: 24},
	'1.3.14.3.2.7': {name: 'des-cbc', keyLength: 8},
};

const rc2Cbc = '1.2.840.113549.3.2';

/** PBES1: the first half of what is derived is the key, the second the first block. */
const pbes1: Readonly<Record<string, {readonly hash: string; readonly cipher: Cipher}>> = {
	'1.2.840.113549.1.5.3': {hash: 'md5', cipher: {name: 'des-cbc', keyLength: 8}},
	'1.2.840.113549.1.5.6': {hash: 'md5', cipher: {name: 'rc2-cbc', keyLength: 8}},
	'1.2.840.113549.1.5.10': {hash: 'sha1', cipher: {name: 'des-cbc', keyLength: 8}},
	'1.2.840.113549.1.5.11': {hash: 'sha1', cipher: {name: 'rc2-cbc', keyLength: 8}},
};

/** Those of PKCS#12, all with SHA-1. */
const pkcs12: Readonly<Record<string, Cipher>> = {
	'1.2.840.113549.1.12.1.3': {name: 'des-ede3-cbc', keyLength: 24},
	'1.2.840.113549.1.12.1.4': {name: 'des-ede-cbc', keyLength: 16},
	'1.2.840.113549.1.12.1.5': {name: 'rc2-cbc', keyLength: 16},
	'1.2.840.113549.1.12.1.6': {name: 'rc2-cbc', keyLength: 5},
};

/** What is known by name alone. */
const unsupported: Readonly<Record<string, string>> = {
	'1.2.840.113549.1.5.1': 'DES with MD2 (PBES1)',
	'1.2.840.113549.1.5.4': 'RC2 with MD2 (PBES1)',
	'1.2.840.113549.1.12.1.1': 'RC4 with 128 bits (PKCS#12)',
	'1.2.840.113549.1.12.1.2': 'RC4 with 40 bits (PKCS#12)',
	'1.2.840.113549.3.4': 'RC4 (PBES2)',
	'1.2.840.113549.3.9': 'RC5 (PBES2)',
	'2.16.840.1.101.3.4.1.6': 'AES-128-GCM (PBES2)',
	'2.16.840.1.101.3.4.1.46': 'AES-256-GCM (PBES2)',
	'1.2.840.113533.7.66.10': 'CAST5 (PBES2)',
	'1.2.410.200004.1.4': 'SEED (PBES2)',
	'1.3.6.1.4.1.3029.1.2': 'Blowfish (PBES2)',
	'1.2.643.2.2.21': 'GOST 28147-89 (PBES2)',
};

/**
 * Decrypt `data` as an algorithm identifier (in DER) says.
 *
 * @throws {UnsupportedScheme} or {TooMuchWork}; any other error: the passphrase is wrong, or it is damaged.
 */
export async function decryptWithPassphrase(
	algorithm: Buffer,
	data: Buffer,
	passphrase: Passphrase,
	budget: WorkBudget,
): Promise<Buffer> {
	const [identifier, parameters] = parts(algorithm, readElement(algorithm));
	const scheme = oid(algorithm, identifier);
	if (scheme === pbes2)
		return decryptPbes2(algorithm, parameters, data, Buffer.from(passphrase ?? ''), budget);
	const [old, own] = [pbes1[scheme], pkcs12[scheme]];
	if (old === undefined && own === undefined) throw new UnsupportedScheme(unsupported[scheme] ?? scheme);
	const [saltElement, roundsElement] = parts(algorithm, parameters);
	const salt = octets(algorithm, saltElement);
	const rounds = integer(algorithm, roundsElement);
	if (old !== undefined) {
		const open = async (secret: Buffer, ivStart: number): Promise<Buffer> => {
			const derived = await deriveByPbkdf1(secret, {salt, rounds, name: old.hash}, budget);
			const iv = derived.subarray(ivStart).subarray(0, 8);
			return asElement(await decipher(old.cipher, derived.subarray(0, 8), iv, data));
		};
		return open(Buffer.from(passphrase ?? ''), 8).catch(error => {
			if (error instanceof UnsupportedScheme || error instanceof TooMuchWork) throw error;
			// NSS' pk12util takes the passphrase as PKCS#12 writes it, and the first block from the end: see findings/nss-pbes1.sh.
			return open(bmpPassphrase(passphrase), -8);
		});
	}
	const cipher = own as Cipher;
	const secret = bmpPassphrase(passphrase);
	const derive = (id: number, length: number): Promise<Buffer> =>
		deriveByPkcs12(secret, {salt, rounds, length, name: 'sha1', id}, budget);
	const key = await derive(purpose.key, cipher.keyLength);
	return decipher(cipher, key, await derive(purpose.iv, 8), data);
}

/** What is encrypted is always an element; anything else came of a wrong passphrase. */
function asElement(bytes: Buffer): Buffer {
	if (bytes[0] !== derTag.sequence) throw malformed();
	return bytes;
}

/** RFC 8018 section 6.2; the passphrase is taken as UTF-8, as OpenSSL takes it. */
async function decryptPbes2(
	der: Buffer,
	parameters: DerElement | undefined,
	data: Buffer,
	secret: Buffer,
	budget: WorkBudget,
): Promise<Buffer> {
	const [derivation, scheme] = parts(der, parameters);
	const [schemeName, schemeParameters] = parts(der, scheme);
	const {cipher, iv} = cipherOf(der, oid(der, schemeName), schemeParameters);
	const key = await deriveKey(der, derivation, cipher.keyLength, secret, budget);
	return decipher(cipher, key, iv, data);
}

function cipherOf(
	der: Buffer,
	name: string,
	parameters: DerElement | undefined,
): {cipher: Cipher; iv: Buffer} {
	const cipher = ciphers[name];
	if (cipher !== undefined) return {cipher, iv: octets(der, parameters)};
	if (name !== rc2Cbc) throw new UnsupportedScheme(unsupported[name] ?? `${name} (PBES2)`);
	// RFC 8018 appendix B.2.3: a version that stands for the bits of the key, which may be left out.
	const [version, iv] = parts(der, parameters);
	const bits = {160: 40, 120: 64, 58: 128}[version?.tag === derTag.integer ? integer(der, version) : -1];
	if (bits === undefined) throw new UnsupportedScheme('RC2 with an unusual key (PBES2)');
	return {cipher: {name: 'rc2-cbc', keyLength: bits / 8}, iv: octets(der, iv)};
}

/** More than any cipher or MAC takes. */
const longestKey = 128;

/**
 * The key that an algorithm identifier of a key derivation function makes of a passphrase; `expected` is how long it has
 * to be, where that does not stand there.
 */
export async function deriveKey(
	der: Buffer,
	derivation: DerElement | undefined,
	expected: number | undefined,
	secret: Buffer,
	budget: WorkBudget,
): Promise<Buffer> {
	const [name, parameters] = parts(der, derivation);
	const [saltElement, ...others] = parts(der, parameters);
	const salt = octets(der, saltElement);
	const numbers = others.filter(({tag}) => tag === derTag.integer).map(number => integer(der, number));
	switch (oid(der, name)) {
		case pbkdf2: {
			const [rounds = 0, told] = numbers;
			const length = lengthOf(told, expected);
			const algorithm = others.find(({tag}) => tag === derTag.sequence);
			const function_ = algorithm === undefined ? hmacWithSha1 : oid(der, parts(der, algorithm)[0]);
			const name = pseudorandomFunctions[function_];
			if (name === undefined) throw new UnsupportedScheme(`PBKDF2 with ${function_}`);
			return deriveByPbkdf2(secret, {salt, rounds, length, name}, budget);
		}
		case scryptFunction: {
			const [cost = 0, blockSize = 0, parallelization = 0, told] = numbers;
			const length = lengthOf(told, expected);
			return deriveByScrypt(secret, {salt, cost, blockSize, parallelization, length}, budget);
		}
		default:
			throw new UnsupportedScheme(`key derivation by ${oid(der, name)}`);
	}
}

function lengthOf(told: number | undefined, expected: number | undefined): number {
	const length = told ?? expected;
	if (length === undefined || length > longestKey || (expected ?? length) !== length) throw malformed();
	return length;
}

/** HMAC with a hash, by its identifier. */
export function hashOfHmac(identifier: string): string | undefined {
	return pseudorandomFunctions[identifier];
}

function parts(der: Buffer, element: DerElement | undefined): DerElement[] {
	if (element?.tag !== derTag.sequence) throw malformed();
	return childrenOf(der, element);
}

function oid(der: Buffer, element: DerElement | undefined): string {
	if (element?.tag !== derTag.objectIdentifier) throw malformed();
	return objectIdentifier(der, element);
}

/** In one piece, as in DER: BER allows pieces, and then what is counted might not be what others read. */
function octets(der: Buffer, element: DerElement | undefined): Buffer {
	if (element?.tag !== derTag.octetString) throw malformed();
	return der.subarray(element.begin, element.end);
}

function integer(der: Buffer, element: DerElement | undefined): number {
	const size = element?.tag === derTag.integer ? element.end - element.begin : 0;
	if (element === undefined || size === 0 || ((der[element.begin] as number) & 0x80) !== 0) throw malformed();
	return size > 6 ? Number.POSITIVE_INFINITY : der.readUIntBE(element.begin, size);
}

function malformed(): Error {
	return new Error('It is not what DER has at this place');
}
