/** Reads the keys of `cache.encryptionKey`. */
import {createSecretKey, type KeyObject} from 'node:crypto';

/** How long a key is, for AES-256. */
const keyLength = 32;

/**
 * The key that a text stands for: 32 bytes in base64, of either alphabet, with or without padding; `undefined` where
 * it is none. What is returned shows no key material when it is printed.
 */
export function readEncryptionKey(text: string): KeyObject | undefined {
	const trimmed = text.trim();
	// Buffer.from would pass over whatever is not base64.
	if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed)) return undefined;
	const bytes = Buffer.from(trimmed, 'base64');
	return bytes.length === keyLength ? createSecretKey(bytes) : undefined;
}
