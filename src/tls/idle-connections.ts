/**
 * What a server may have done to connections of a pool while they were idle; how long they may be is in
 * `requests-apart.ts`.
 *
 * A server closes connections that are idle, and that is seen only once the next request is on its way: that one has
 * reached nobody, and can be sent again, whatever its method (RFC 9112 section 9.3.1). What can be seen is this: the
 * connection was used before, it breaks before a byte of an answer, and it does so within the time that a close which
 * crossed the request on its way needs at most. A server that takes the request, and dies within that time without a
 * byte, looks the same; browsers and curl send again there, too, and without any limit of time.
 */
import type {Socket} from 'node:net';
import {reuseOf} from './requests-apart.ts';

/** Milliseconds: longer than any way to a server and back. What breaks later may have been worked on. */
const longestRoundTrip = 1000;

/** How often one request is sent again: the connections of a pool become stale together. */
export const mostResends = 3;

const breaks: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'UND_ERR_SOCKET']);

/** Whether the request for which the connection was used again has reached nobody. */
export function reachedNobody(socket: Socket | null | undefined, error: Error): boolean {
	const reuse = socket ? reuseOf(socket) : undefined;
	return reuse !== undefined && socket?.bytesRead === reuse.read && isStale(error, reuse.at);
}

/** Whether an error is that of a connection which broke at once. @param begun when the request was sent */
export function isStale(error: Error & {code?: unknown}, begun: number): boolean {
	return breaks.has(error.code) && performance.now() - begun <= longestRoundTrip;
}
