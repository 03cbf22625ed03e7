/**
 * When a connection that undici uses has last given anything: so that a request which reached nobody can be told from one
 * that was answered in part. undici reads by `read` alone; what it hands over, and HTTP/2, is read by others.
 */
import type {Socket} from 'node:net';
import {isStale} from '../../tls/idle-connections.ts';

interface Reads {
	/** By the monotonic clock; `undefined`: never. */
	last: number | undefined;
}

const behind = new WeakMap<Error, Reads>();

/** To be called with each new connection. */
export function watchReads(socket: Socket): void {
	const reads: Reads = {last: undefined};
	const {read} = socket;
	socket.read = function (this: Socket, size?: number) {
		const chunk = read.call(this, size);
		if (chunk !== null) reads.last = performance.now();
		return chunk;
	};
	// Before undici hears of it, and tells its requests.
	socket.prependListener('error', (error: Error) => behind.set(error, reads));
}

/** Whether the request that was begun then, and failed so, has reached nobody: see `tls/idle-connections.ts`. */
export function reachedNobody(error: Error, begun: number): boolean {
	const last = behind.get(error)?.last;
	return last !== undefined && last <= begun && isStale(error, begun);
}
