/** Signs by AWS's Signature Version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html). */
import {createHmac, createSecretKey, hash, type KeyObject} from 'node:crypto';
import {type CanonicalInput, canonicalRequest} from './canonical.ts';

/** What a request is signed with. All but the first are secrets. */
export interface SigningKeys {
	readonly accessKeyId: string;
	readonly secretAccessKey: string;
	readonly sessionToken: string | undefined;
}

export const algorithm = 'AWS4-HMAC-SHA256';
export const unsignedPayload = 'UNSIGNED-PAYLOAD';
const emptyHash = hashOf('');

export function hashOf(bytes: Uint8Array | string): string {
	return hash('sha256', bytes, 'hex');
}

export function payloadHashOf(body: Uint8Array | undefined): string {
	return body === undefined || body.byteLength === 0 ? emptyHash : hashOf(body);
}

/** `20150830T123600Z`. */
export function timestampOf(time: number): string {
	const text = new Date(time).toISOString();
	return `${text.slice(0, 4)}${text.slice(5, 7)}${text.slice(8, 13)}${text.slice(14, 16)}${text.slice(17, 19)}Z`;
}

/** Signs the chunks of one body, each with the signature of the one before it in its own. */
export interface ChunkSigner {
	/** @param hash of the chunk, in hexadecimal digits; of none: it is the last one, which is empty. */
	signChunk(hash?: string): string;
	/** @param lines the headers behind the body, each `name:value` with a line break. */
	signTrailer(lines: string): string;
}

/** Signs for one service in one region. The key of a day is made once. */
export class Signer {
	readonly #service: string;
	readonly #region: string;
	#made: {readonly secret: string; readonly day: string; readonly key: KeyObject} | undefined;

	constructor(service: string, region: string) {
		this.#service = service;
		this.#region = region;
	}

	/** What the key is for on a day: the credential's second half. */
	scopeOf(timestamp: string): string {
		return `${timestamp.slice(0, 8)}/${this.#region}/${this.#service}/aws4_request`;
	}

	sign(
		input: CanonicalInput,
		timestamp: string,
		{secretAccessKey}: SigningKeys,
	): {readonly signature: string; readonly signedHeaders: string} {
		const {text, signedHeaders} = canonicalRequest(input, this.#service);
		const toSign = `${algorithm}\n${timestamp}\n${this.scopeOf(timestamp)}\n${hashOf(text)}`;
		const key = this.#keyFor(secretAccessKey, timestamp.slice(0, 8));
		return {signature: createHmac('sha256', key).update(toSign).digest('hex'), signedHeaders};
	}

	/** For the body of a request that was signed, by its `signature`. */
	chunkSigner(signature: string, timestamp: string, {secretAccessKey}: SigningKeys): ChunkSigner {
		const key = this.#keyFor(secretAccessKey, timestamp.slice(0, 8));
		const scope = this.scopeOf(timestamp);
		let before = signature;
		const sign = (kind: string, hashes: string): string => {
			const toSign = `${algorithm}-${kind}\n${timestamp}\n${scope}\n${before}\n${hashes}`;
			before = createHmac('sha256', key).update(toSign).digest('hex');
			return before;
		};
		return {
			signChunk: (hash = emptyHash) => sign('PAYLOAD', `${emptyHash}\n${hash}`),
			signTrailer: lines => sign('TRAILER', hashOf(lines)),
		};
	}

	#keyFor(secret: string, day: string): KeyObject {
		if (this.#made?.secret === secret && this.#made.day === day) return this.#made.key;
		const parts = [day, this.#region, this.#service, 'aws4_request'];
		const bytes = parts.reduce<Buffer | string>(
			(made, part) => createHmac('sha256', made).update(part).digest(),
			`AWS4${secret}`,
		) as Buffer;
		// With bytes, Node would make such an object for each signature: 8 µs.
		const key = createSecretKey(bytes);
		this.#made = {secret, day, key};
		return key;
	}
}
