/** What gatepass takes of an answer to a request of its own. */
import {gunzipSync} from 'node:zlib';

/** Token answers have a few kilobytes; whoever sends this much is no authorization server. */
export const largestBody = 1024 * 1024;

export function tooLarge(): Error {
	return new Error(`the answer is larger than ${largestBody} bytes`);
}

/**
 * The content of an answer that came packed by gzip; the headers that say so go. Nothing is asked for packed, but some
 * balancers pack all the same.
 */
export function unpack(body: Uint8Array, headers: Record<string, string | string[] | undefined>): Uint8Array {
	const encoding = String(headers['content-encoding'] ?? '')
		.trim()
		.toLowerCase();
	if (encoding !== 'gzip' && encoding !== 'x-gzip') return body;
	delete headers['content-encoding'];
	delete headers['content-length'];
	try {
		return gunzipSync(body, {maxOutputLength: largestBody});
	} catch (error) {
		const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
		throw isTooLarge ? tooLarge() : new Error('the gzip of the answer is broken');
	}
}
