/**
 * Encryption at rest: what a token store keeps is sealed with AES-256-GCM (NIST SP 800-38D).
 *
 * A sealed text is `v1.<key id>.<nonce>.<ciphertext and tag>`, the last three in base64url. The cache key is
 * authenticated along with it, so a text that is moved to another key does not open there.
 */
import {createCipheriv, createDecipheriv, createHmac, type KeyObject, randomBytes} from 'node:crypto';

const version = 'v1';
const algorithm = 'aes-256-gcm';
/** 96 bits at random for each text: good for 2^32 texts of one key (SP 800-38D, section 8.3). */
const nonceLength = 12;
const tagLength = 16;
const keyIdLength = 6;

/** What came of opening: the text, or why there is none. */
export type Opened =
	| {readonly text: string; readonly problem?: never}
	| {readonly text?: never; readonly problem: string};

/** Seals with the first of its keys, and opens with any: a key is changed by putting the new one before the old. */
export class Sealer {
	readonly #keys: ReadonlyMap<string, KeyObject>;
	readonly #sealingKeyId: string;

	constructor(keys: readonly [KeyObject, ...KeyObject[]]) {
		this.#sealingKeyId = keyIdOf(keys[0]);
		this.#keys = new Map(keys.map(key => [keyIdOf(key), key]));
	}

	seal(cacheKey: string, text: string): string {
		const keyId = this.#sealingKeyId;
		const nonce = randomBytes(nonceLength);
		const cipher = createCipheriv(algorithm, this.#keys.get(keyId) as KeyObject, nonce, {
			authTagLength: tagLength,
		});
		cipher.setAAD(additionalData(keyId, cacheKey));
		const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
		return [version, keyId, nonce.toString('base64url'), sealed.toString('base64url')].join('.');
	}

	open(cacheKey: string, sealed: string): Opened {
		const [foundVersion, keyId = '', nonceText = '', bodyText = '', ...rest] = sealed.split('.');
		if (foundVersion !== version) return {problem: 'it is not encrypted, or by another version of gatepass'};
		const nonce = decode(nonceText);
		const body = decode(bodyText);
		if (nonce?.length !== nonceLength || body === undefined || body.length < tagLength || rest.length > 0) {
			return {problem: 'its encrypted text is damaged'};
		}
		const key = this.#keys.get(keyId);
		if (key === undefined) return {problem: "it is encrypted with a key that 'cache.encryptionKey' lacks"};
		try {
			const decipher = createDecipheriv(algorithm, key, nonce, {authTagLength: tagLength});
			decipher.setAAD(additionalData(keyId, cacheKey));
			decipher.setAuthTag(body.subarray(-tagLength));
			return {
				text: decipher.update(body.subarray(0, -tagLength), undefined, 'utf8') + decipher.final('utf8'),
			};
		} catch {
			return {problem: 'its encrypted text was changed, or belongs to another cache key'};
		}
	}
}

/** Names a key without giving anything of it away. */
function keyIdOf(key: KeyObject): string {
	const digest = createHmac('sha256', key).update('gatepass key id').digest();
	return digest.subarray(0, keyIdLength).toString('base64url');
}

function additionalData(keyId: string, cacheKey: string): Buffer {
	return Buffer.from(`${version}.${keyId}.${cacheKey}`, 'utf8');
}

/** Strict: Buffer.from passes over what is not base64url, so several texts would stand for the same bytes. */
function decode(text: string): Buffer | undefined {
	const bytes = Buffer.from(text, 'base64url');
	return bytes.toString('base64url') === text ? bytes : undefined;
}
