/**
 * An agent that notices when a server breaks a new connection off because of the client certificate.
 *
 * A server says what it minds in an alert. But in TLS 1.3 it looks at the certificate only after the client may send,
 * so while a body is on its way, the connection breaks before the alert is read; and Node's own server sends none at
 * all. What is left is an ECONNRESET like any other, which got would try again. So this looks at the handshake itself:
 * the server asked for a certificate, has not shown that it accepts the one that it got, and breaks off.
 */
import {Agent} from 'node:https';
import type {Duplex} from 'node:stream';
import {TLSSocket} from 'node:tls';

/** The server broke the connection off where it would have accepted the client certificate. */
export class RefusedConnection extends Error {
	/** As where it sends an alert over TLS 1.2. */
	readonly code = 'EPROTO';

	constructor(how: string, cause?: unknown) {
		super(`The server asked for a client certificate, and then broke the connection off (${how})`, {cause});
		Object.defineProperty(this, 'name', {value: 'RefusedConnection', configurable: true});
	}
}

export class WatchedAgent extends Agent {
	override createConnection(...parameters: Parameters<Agent['createConnection']>): Duplex | null | undefined {
		const socket = super.createConnection(...parameters);
		if (socket instanceof TLSSocket) watchHandshake(socket);
		return socket;
	}
}

/** Connections whose server has asked for a certificate, and not shown yet that it accepts the one that it got. */
const undecided = new WeakSet<object>();

/** The refusal behind an error of a connection, or of a write to it; other errors as they are. */
export function refusalBehind(error: Error & {code?: string}, socket: Duplex | null): Error {
	const isBreak = error.code === 'ECONNRESET' || error.code === 'EPIPE';
	return isBreak && socket !== null && undecided.has(socket)
		? new RefusedConnection(error.message, error)
		: error;
}

/** Goes on until the server has accepted the certificate, or wants none: after that, a break is only a break. */
function watchHandshake(socket: TLSSocket): void {
	const watched = socket as {emit: (event: string, ...values: unknown[]) => boolean};
	const {emit} = watched;
	const look = (): void => {
		// Only with its wish for a certificate does a server say which signatures it takes.
		if ((socket.getSharedSigalgs() ?? []).length > 0) undecided.add(socket);
	};
	const stopWatching = (): void => {
		undecided.delete(socket);
		watched.emit = emit;
	};
	watched.emit = (event, ...values) => {
		switch (event) {
			case 'secureConnect':
				look();
				// Before TLS 1.3, the handshake does not end until the server has looked at the certificate.
				if (!undecided.has(socket) || socket.getProtocol() !== 'TLSv1.3') stopWatching();
				break;
			// A ticket, or the beginning of an answer.
			case 'session':
			case 'data':
				stopWatching();
				break;
			case 'end':
				look();
				if (undecided.has(socket)) {
					socket.destroy(new RefusedConnection('it closed it'));
					return true;
				}
				break;
			case 'error':
				return emit.call(socket, event, refusalBehind(values[0] as Error, socket));
		}
		return emit.call(socket, event, ...values);
	};
}
