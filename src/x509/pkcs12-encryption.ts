/** The ways in which the parts of a PKCS#12 file are encrypted: PBES2 (RFC 8018), and PKCS#12's own (RFC 7292 appendix C). */
import {createDecipheriv, createHmac, pbkdf2, timingSafeEqual} from 'node:crypto';
import {promisify} from 'node:util';
import type forge from 'node-forge';
import {type Forge, inside, integer, octets, oid} from './pkcs12-structure.ts';

/** Something that a file may hold by the standard, and that is not supported. */
export class UnsupportedError extends Error {}

/** `null` is no passphrase at all, which PKCS#12 tells from an empty one. */
export type Passphrase = string | null;

const pbes2 = '1.2.840.113549.1.5.13';
const pbkdf2Function = '1.2.840.113549.1.5.12';

const ciphers = new Map([
	['2.16.840.1.101.3.4.1.2', {name: 'aes-128-cbc', keyLength: 16}],
	['2.16.840.1.101.3.4.1.22', {name: 'aes-192-cbc', keyLength: 24}],
	['2.16.840.1.101.3.4.1.42', {name: 'aes-256-cbc', keyLength: 32}],
	['1.2.840.113549.3.7', {name: 'des-ede3-cbc', keyLength: 24}],
]);

/** HMAC with the hash of that name. */
const pseudorandomFunctions = new Map([
	['1.2.840.113549.2.7', 'sha1'],
	['1.2.840.113549.2.9', 'sha256'],
	['1.2.840.113549.2.10', 'sha384'],
	['1.2.840.113549.2.11', 'sha512'],
]);

const hashes = new Map([
	['1.3.14.3.2.26', 'sha1'],
	['2.16.840.1.101.3.4.2.1', 'sha256'],
	['2.16.840.1.101.3.4.2.2', 'sha384'],
	['2.16.840.1.101.3.4.2.3', 'sha512'],
] as const);

/** Decrypt `data` as the algorithm identifier says. */
export async function decrypt(
	library: Forge,
	algorithm: forge.asn1.Asn1,
	data: Buffer,
	passphrase: Passphrase,
): Promise<Buffer> {
	const [identifier, parameters] = inside(algorithm);
	if (oid(library, identifier) === pbes2) return decryptPbes2(library, parameters, data, passphrase);
	let cipher: forge.cipher.BlockCipher;
	try {
		cipher = ownEncryption(library).getCipher(oid(library, identifier), parameters, passphrase);
	} catch {
		throw new UnsupportedError();
	}
	cipher.update(library.util.createBuffer(data.toString('latin1')));
	if (!cipher.finish()) throw new Error('It does not decrypt');
	return Buffer.from(cipher.output.getBytes(), 'latin1');
}

/** PKCS#12's own encryption, which the types of the library leave out. */
interface OwnEncryption {
	getCipher(identifier: string, parameters: unknown, passphrase: Passphrase): forge.cipher.BlockCipher;
}

function ownEncryption(library: Forge): OwnEncryption {
	return (library.pki as unknown as {pbe: OwnEncryption}).pbe;
}

/** RFC 8018 section 6.2; the passphrase is taken as UTF-8, as OpenSSL takes it. */
async function decryptPbes2(
	library: Forge,
	parameters: forge.asn1.Asn1 | undefined,
	data: Buffer,
	passphrase: Passphrase,
): Promise<Buffer> {
	const [derivation, scheme] = inside(parameters);
	const [derivationName, derivationParameters] = inside(derivation);
	const [schemeName, iv] = inside(scheme);
	const cipher = ciphers.get(oid(library, schemeName));
	const [salt, rounds, ...optional] = inside(derivationParameters);
	const algorithm = optional.find(({type}) => type === library.asn1.Type.SEQUENCE);
	const name = algorithm === undefined ? '1.2.840.113549.2.7' : oid(library, inside(algorithm)[0]);
	const hash = pseudorandomFunctions.get(name);
	if (oid(library, derivationName) !== pbkdf2Function || cipher === undefined || hash === undefined) {
		throw new UnsupportedError();
	}
	const secret = Buffer.from(passphrase ?? '');
	const key = await promisify(pbkdf2)(secret, octets(salt), integer(rounds), cipher.keyLength, hash);
	const decipher = createDecipheriv(cipher.name, key, octets(iv));
	return Buffer.concat([decipher.update(data), decipher.final()]);
}

/** Whether `passphrase` is the one that `macData` (RFC 7292 section 4) was made with, and `content` is whole. */
export function isAuthentic(
	library: Forge,
	macData: forge.asn1.Asn1,
	content: Buffer,
	passphrase: Passphrase,
): boolean {
	const [digestInfo, salt, rounds] = inside(macData);
	const [algorithm, digest] = inside(digestInfo);
	const hash = hashes.get(oid(library, inside(algorithm)[0]) as never);
	if (hash === undefined) throw new UnsupportedError();
	const md = library.md[hash].create();
	const {digestLength} = md;
	const saltBytes = library.util.createBuffer(octets(salt).toString('latin1'));
	const times = rounds === undefined ? 1 : integer(rounds);
	// The types know neither the hash nor that there may be no passphrase.
	const generateKey = library.pkcs12.generateKey as unknown as (
		...parameters: unknown[]
	) => forge.util.ByteBuffer;
	const key = generateKey(passphrase, saltBytes, 3, times, digestLength, md);
	const expected = createHmac(hash, Buffer.from(key.getBytes(), 'latin1')).update(content).digest();
	const found = octets(digest);
	return found.length === expected.length && timingSafeEqual(found, expected);
}
