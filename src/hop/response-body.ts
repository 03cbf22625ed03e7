/** The body of a response, for strategies that look into it. */
import {brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync} from 'node:zlib';
import type {AuthResponse} from '../strategy/index.ts';

/** Bytes that are read of a response at most, and to which a packed one may unfold. */
export const mostResponseBytes = 1024 * 1024;

/** An answer whose body can be read before its reader has it. */
export interface ReadableAnswer {
	readonly response: AuthResponse;
	/**
	 * Read the body, and keep it for whoever gets the answer in the end.
	 *
	 * @param most bytes that are read at most. `undefined`: there are more, or it broke off, which its reader is told.
	 */
	readBody(most: number): Promise<Uint8Array | undefined>;
}

type Unpack = (bytes: Uint8Array, options: {maxOutputLength: number}) => Uint8Array;

/** By the name of the coding (RFC 9110 section 8.4.1). */
const unpackers: Readonly<Record<string, Unpack>> = {
	gzip: gunzipSync,
	'x-gzip': gunzipSync,
	deflate: inflateSync,
	br: brotliDecompressSync,
	zstd: zstdDecompressSync,
};

/** The response as the strategy sees it, with its body. */
export async function withBody(answer: ReadableAnswer): Promise<AuthResponse> {
	const bytes = await answer.readBody(mostResponseBytes);
	const {response} = answer;
	return {
		status: response.status,
		headers: response.headers,
		body: bytes && unpack(bytes, String(response.headers['content-encoding'] ?? '')),
		withhold: keepHeaders => response.withhold(keepHeaders),
	};
}

/** `undefined`: it unfolds to more than may be. What cannot be unpacked stays as it is: some clients have done it already. */
function unpack(bytes: Uint8Array, codings: string): Uint8Array | undefined {
	let content = bytes;
	for (const coding of codings.toLowerCase().split(',').reverse()) {
		const unpacker = unpackers[coding.trim()];
		if (unpacker === undefined || content.byteLength === 0) continue;
		try {
			content = unpacker(content, {maxOutputLength: mostResponseBytes});
		} catch (error) {
			return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? undefined : bytes;
		}
	}
	return content;
}
