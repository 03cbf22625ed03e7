/**
 * Idle connections are kept as long as Node's own agents keep them. The clock runs while they are idle only: Node's
 * timers hold on to each other, so by one on a connection in use, one would come to the requests of others.
 */
import type {Socket} from 'node:net';

/** Milliseconds. What lies between forgets connections later. */
const longestIdle = 5000;

/** To be called with a connection that is given back. Node ends it when its time is over. */
export function limitIdle(socket: Socket): void {
	// Unless the server said that it keeps it for less, or the agent has a limit of its own.
	if ((socket.timeout ?? 0) === 0) socket.setTimeout(longestIdle);
}

/** To be called with a connection that is used again. */
export function unlimit(socket: Socket): void {
	socket.setTimeout(0);
}
