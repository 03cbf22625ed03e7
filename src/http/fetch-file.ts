/** Fetches files that need no credential, such as revocation lists. */
import type {Got, RequestError} from 'got';

/** Milliseconds for a file, however large. */
const timeout = 30_000;
/** Revocation lists of CAs of the grid have up to some megabytes. */
const largestFile = 64 * 1024 * 1024;

/**
 * A function that fetches one. What comes is to be verified by its signature, so plain http will do, and redirects are
 * followed. It rejects with an error that says in half a sentence why.
 */
export function fileFetcher(got: () => Promise<Got>): (url: string, signal: AbortSignal) => Promise<Buffer> {
	return async (url, signal) => {
		const tooLarge = new AbortController();
		const request = (await got())(url, {
			responseType: 'buffer',
			maxRedirects: 3,
			// Nothing is asked for packed: a small answer could unfold to any size.
			decompress: false,
			timeout: {request: timeout},
			retry: {limit: 1},
			signal: AbortSignal.any([signal, tooLarge.signal]),
		});
		request.on('downloadProgress', ({transferred}) => {
			if (transferred > largestFile) tooLarge.abort();
		});
		try {
			const {buffer, byteOffset, byteLength} = (await request).rawBody;
			return Buffer.from(buffer, byteOffset, byteLength);
		} catch (error) {
			const {response, code} = error as RequestError;
			const reason = tooLarge.signal.aborted
				? `it has more than ${largestFile} bytes`
				: (response?.statusCode ?? code);
			throw new Error(`cannot be fetched (${reason})`, {cause: error});
		}
	};
}
