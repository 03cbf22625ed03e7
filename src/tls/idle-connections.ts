/**
 * Connections of a pool: how long they may be idle, and what the server may have done to them meanwhile.
 *
 * Idle connections are kept as long as Node's own agents keep them. The clock runs while they are idle only: Node's
 * timers hold on to each other, so by one on a connection in use, one would come to the requests of others.
 *
 * A server closes connections that are idle, and that is seen only once the next request is on its way: that one has
 * reached nobody, and can be sent again, whatever its method (RFC 9112 section 9.3.1). What can be seen is this: the
 * connection was used before, it breaks before a byte of an answer, and it does so within the time that a close which
 * crossed the request on its way needs at most. A server that takes the request, and dies within that time without a
 * byte, looks the same; browsers and curl send again there, too, and without any limit of time.
 */
import type {Socket} from 'node:net';

/** Milliseconds. What lies between forgets connections later. */
const longestIdle = 5000;

/** Milliseconds: longer than any way to a server and back. What breaks later may have been worked on. */
const longestRoundTrip = 1000;

/** How often one request is sent again: the connections of a pool become stale together. */
export const mostResends = 3;

const breaks: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'UND_ERR_SOCKET']);

/** What is known of a connection that is used again. */
interface Reuse {
	/** Bytes that it had given by then. */
	read: number;
	/** By the monotonic clock. */
	at: number;
}

const reuses = new WeakMap<Socket, Reuse>();

/** To be called with a connection that is given back. Node ends it when its time is over. */
export function limitIdle(socket: Socket): void {
	// Unless the server said that it keeps it for less, or the agent has a limit of its own.
	if ((socket.timeout ?? 0) === 0) socket.setTimeout(longestIdle);
}

/** To be called with a connection that is used again. */
export function useAgain(socket: Socket): void {
	socket.setTimeout(0);
	const {bytesRead: read} = socket;
	const at = performance.now();
	const known = reuses.get(socket);
	if (known === undefined) reuses.set(socket, {read, at});
	else Object.assign(known, {read, at});
}

/** Whether the request for which the connection was used again has reached nobody. */
export function reachedNobody(socket: Socket | null | undefined, error: Error): boolean {
	const reuse = socket ? reuses.get(socket) : undefined;
	return reuse !== undefined && socket?.bytesRead === reuse.read && isStale(error, reuse.at);
}

/** Whether an error is that of a connection which broke at once. @param begun when the request was sent */
export function isStale(error: Error & {code?: unknown}, begun: number): boolean {
	return breaks.has(error.code) && performance.now() - begun <= longestRoundTrip;
}
