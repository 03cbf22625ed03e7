/**
 * Keys whose headers say how they are encrypted (RFC 1421 section 4.6): OpenSSL's own way before PKCS#8.
 *
 * ```
 * Proc-Type: 4,ENCRYPTED
 * DEK-Info: DES-EDE3-CBC,2A9E6F5D6A2F3C71
 * ```
 */
import {getCipherInfo} from 'node:crypto';
import {deriveForHeaders} from './key-derivation.ts';
import {type Cipher, decipher, UnsupportedScheme} from './old-ciphers.ts';

/** Those that this OpenSSL has in a module only. */
const old: Readonly<Record<string, Cipher>> = {
	'des-cbc': {name: 'des-cbc', keyLength: 8},
	'rc2-cbc': {name: 'rc2-cbc', keyLength: 16},
	'rc2-64-cbc': {name: 'rc2-cbc', keyLength: 8},
	'rc2-40-cbc': {name: 'rc2-cbc', keyLength: 5},
};

/** Whether the headers of a PEM block say that it is encrypted. */
export function isEncryptedByHeaders(headers: string): boolean {
	return /^Proc-Type:.*ENCRYPTED/m.test(headers);
}

/** @throws {UnsupportedScheme}; any other error: the passphrase is wrong, or it is damaged. */
export async function decryptByHeaders(headers: string, data: Buffer, passphrase: string): Promise<Buffer> {
	const [, written = '', hex = ''] =
		/^DEK-Info:\s*([\w-]{1,64}),\s*([0-9A-Fa-f]{2,64})\s*$/m.exec(headers) ?? [];
	const name = written.toLowerCase();
	const cipher = old[name] ?? cipherOf(name);
	if (cipher === undefined) throw new UnsupportedScheme(written === '' ? 'a cipher without a name' : written);
	const iv = Buffer.from(hex, 'hex');
	// The first bytes are the salt, too.
	const key = deriveForHeaders(Buffer.from(passphrase), iv.subarray(0, 8), cipher.keyLength);
	return decipher(cipher, key, iv, data);
}

function cipherOf(name: string): Cipher | undefined {
	const {keyLength, mode} = (name === '' ? undefined : getCipherInfo(name)) ?? {};
	return keyLength === undefined || mode !== 'cbc' ? undefined : {name, keyLength};
}
