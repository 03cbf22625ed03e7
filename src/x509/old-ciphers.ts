/**
 * Ciphers in CBC mode, also those that OpenSSL 3 has only in a module that Node does not have: DES, which is 3DES with one
 * key three times, and RC2, which node-forge has.
 */
import {createDecipheriv, type Decipheriv} from 'node:crypto';
import {setImmediate} from 'node:timers/promises';

/** Something that a file may hold by the standard, and that cannot be opened here. */
export class UnsupportedScheme extends Error {
	/** For people: `RC4 (PKCS#12)`. */
	readonly scheme: string;

	constructor(scheme: string) {
		super('It is encrypted in a way that is not supported');
		this.scheme = scheme;
	}
}

/** A cipher and the bytes of its key. */
export interface Cipher {
	/** As OpenSSL names it. */
	readonly name: string;
	readonly keyLength: number;
}

/** Decrypt, and take the padding off. */
export async function decipher({name}: Cipher, key: Buffer, iv: Buffer, data: Buffer): Promise<Buffer> {
	switch (name) {
		case 'des-cbc':
			return finish('des-ede3-cbc', Buffer.concat([key, key, key]), iv, data);
		case 'des-ede-cbc':
			return finish('des-ede3-cbc', Buffer.concat([key, key.subarray(0, 8)]), iv, data);
		case 'rc2-cbc':
			return decipherRc2(key, iv, data);
		default:
			return finish(name, key, iv, data);
	}
}

function finish(name: string, key: Buffer, iv: Buffer, data: Buffer): Buffer {
	const cipher = open(name, key, iv);
	return Buffer.concat([cipher.update(data), cipher.final()]);
}

function open(name: string, key: Buffer, iv: Buffer): Decipheriv {
	try {
		return createDecipheriv(name, key, iv);
	} catch (error) {
		// Of some, OpenSSL knows the name alone.
		const {code = ''} = error as NodeJS.ErrnoException;
		if (!missing.has(code)) throw error;
		throw new UnsupportedScheme(name.toUpperCase());
	}
}

const missing = new Set(['ERR_OSSL_EVP_UNSUPPORTED', 'ERR_CRYPTO_UNKNOWN_CIPHER']);

/** So many bytes take a few milliseconds in JavaScript; between, others run. */
const bytesAtATime = 16 * 1024;

async function decipherRc2(key: Buffer, iv: Buffer, data: Buffer): Promise<Buffer> {
	const {default: library} = await import('node-forge');
	const toBuffer = (bytes: Buffer) => library.util.createBuffer(bytes.toString('latin1'));
	// The types do not know of it.
	const {rc2} = library as unknown as {
		rc2: {createDecryptionCipher(key: unknown, bits: number): import('node-forge').cipher.BlockCipher};
	};
	const cipher = rc2.createDecryptionCipher(toBuffer(key), key.length * 8);
	cipher.start(toBuffer(iv) as never);
	for (let start = 0; start < data.length; start += bytesAtATime) {
		if (start > 0) await setImmediate();
		cipher.update(toBuffer(data.subarray(start, start + bytesAtATime)));
	}
	if (!cipher.finish()) throw new Error('It does not decrypt');
	return Buffer.from(cipher.output.getBytes(), 'latin1');
}
