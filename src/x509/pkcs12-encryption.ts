/** The ways in which the parts of a PKCS#12 file are encrypted: PBES2 (RFC 8018), and PKCS#12's own (RFC 7292 appendix C). */
import {createDecipheriv, createHmac, hash, pbkdf2, timingSafeEqual} from 'node:crypto';
import {setImmediate} from 'node:timers/promises';
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
export async function isAuthentic(
	library: Forge,
	macData: forge.asn1.Asn1,
	content: Buffer,
	passphrase: Passphrase,
): Promise<boolean> {
	const [digestInfo, salt, rounds] = inside(macData);
	const [algorithm, digest] = inside(digestInfo);
	const name = hashes.get(oid(library, inside(algorithm)[0]) as never);
	if (name === undefined) throw new UnsupportedError();
	const key = await macKey(name, octets(salt), rounds === undefined ? 1 : integer(rounds), passphrase);
	const expected = createHmac(name, key).update(content).digest();
	const found = octets(digest);
	return found.length === expected.length && timingSafeEqual(found, expected);
}

/** What the derivation of the key of a MAC begins with. */
const macPurpose = 3;
/** So many rounds take about ten milliseconds. Browsers ask for 600,000. */
const roundsAtATime = 10_000;

/**
 * RFC 7292 appendix B.2 for a key as long as the hash, which is all that a MAC needs. OpenSSL has it, but Node does not
 * show it; the library has it, but is slow and lets nothing else run meanwhile.
 */
async function macKey(name: string, salt: Buffer, rounds: number, passphrase: Passphrase): Promise<Buffer> {
	const blockSize = name === 'sha1' || name === 'sha256' ? 64 : 128;
	const text = passphrase === null ? Buffer.alloc(0) : bigEndian(`${passphrase}\0`);
	let key = Buffer.concat([
		Buffer.alloc(blockSize, macPurpose),
		...[salt, text].map(part => Buffer.alloc(Math.ceil(part.length / blockSize) * blockSize, part)),
	]);
	for (let round = 1; round <= rounds; round++) {
		key = hash(name, key, 'buffer');
		if (round % roundsAtATime === 0) await setImmediate();
	}
	return key;
}

/** A BMPString (RFC 7292 appendix B.1). */
function bigEndian(text: string): Buffer {
	return Buffer.from(text, 'utf16le').swap16();
}
