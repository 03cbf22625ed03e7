/**
 * When a connection that undici uses has last given anything: so that a request which reached nobody can be told from one
 * that was answered in part. undici reads by `read` alone; what it hands over, and HTTP/2, is read by others.
 */
import type {Socket} from 'node:net';
import type {Dispatcher} from 'undici';
import {isStale} from '../../tls/idle-connections.ts';
import {socketOf} from './foreign.ts';

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

/** To be called with a dispatcher of the caller's: of the connections that it opens from now on, as {@link watchReads}. */
export function watchReadsOf(dispatcher: Dispatcher): void {
	// One function for all, so that no dispatcher has it twice, also behind interceptors that are put together again.
	const isWatched = dispatcher.listeners?.('connect').includes(watchConnection);
	if (isWatched === false) dispatcher.on('connect', watchConnection);
}

function watchConnection(_origin: URL, opened: readonly Dispatcher[]): void {
	const client = opened.at(-1);
	const socket = client === undefined ? undefined : socketOf(client);
	if (socket !== undefined) watchReads(socket);
}

/** Whether the request that was begun then, and failed so, has reached nobody: see `tls/idle-connections.ts`. */
export function reachedNobody(error: Error, begun: number): boolean {
	const last = behind.get(error)?.last;
	return last !== undefined && last <= begun && isStale(error, begun);
}
