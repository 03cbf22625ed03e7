/**
 * An agent that notices when a server breaks a new connection off because of the client certificate.
 *
 * A server says what it minds in an alert. But in TLS 1.3 it looks at the certificate only after the client may send,
 * so while a body is on its way, the connection breaks before the alert is read; and Node's own server sends none at
 * all. What is left is an ECONNRESET like any other, which got would try again. So this looks at the handshake itself:
 * the server asked for a certificate, has not shown that it accepts the one that it got, and breaks off.
 */
import type {KeyObject} from 'node:crypto';
import {Agent, type AgentOptions} from 'node:https';
import type {Duplex} from 'node:stream';
import {TLSSocket} from 'node:tls';
import {CertificateNotShown, notShown} from './not-shown.ts';

/** The server broke the connection off where it would have accepted the client certificate. */
export class RefusedConnection extends Error {
	/** As where it sends an alert over TLS 1.2. */
	readonly code = 'EPROTO';

	constructor(how: string, cause?: unknown) {
		super(`The server asked for a client certificate, and then broke the connection off (${how})`, {cause});
		Object.defineProperty(this, 'name', {value: 'RefusedConnection', configurable: true});
	}
}

/** Besides what Node's own takes. */
export interface WatchedAgentSettings extends AgentOptions {
	/** The key of the client certificate, where one is to be shown. */
	readonly shownKey?: (() => KeyObject | undefined) | undefined;
}

export class WatchedAgent extends Agent {
	readonly #shownKey: () => KeyObject | undefined;

	constructor({shownKey = () => undefined, ...options}: WatchedAgentSettings) {
		super(options);
		this.#shownKey = shownKey;
	}

	override createConnection(...parameters: Parameters<Agent['createConnection']>): Duplex | null | undefined {
		const socket = super.createConnection(...parameters);
		if (socket instanceof TLSSocket) watchHandshake(socket, this.#shownKey);
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
function watchHandshake(socket: TLSSocket, shownKey: () => KeyObject | undefined): void {
	const watched = socket as {emit: (event: string, ...values: unknown[]) => boolean};
	const {emit} = watched;
	const {destroy} = socket;
	const look = (): void => {
		// Only with its wish for a certificate does a server say which signatures it takes.
		if ((socket.getSharedSigalgs() ?? []).length > 0) undecided.add(socket);
	};
	const withheld = (cause?: Error): Error | undefined => {
		const key = shownKey();
		return key && notShown(socket, key, cause);
	};
	const stopWatching = (): void => {
		undecided.delete(socket);
		watched.emit = emit;
		socket.destroy = destroy;
	};
	const causeOf = (error: Error & {code?: string}): Error => {
		// Only where the server has ended the handshake; this side may have, for the server's certificate.
		const isServers = /^(?:ERR_SSL_|EPROTO|ECONNRESET$|EPIPE$)/.test(error.code ?? '');
		const isKnown = error instanceof CertificateNotShown;
		return (isServers && !isKnown ? withheld(error) : undefined) ?? refusalBehind(error, socket);
	};
	// Afterwards, the connection tells nothing of its handshake any more.
	socket.destroy = error => destroy.call(socket, error && causeOf(error));
	watched.emit = (event, ...values) => {
		switch (event) {
			case 'secureConnect': {
				look();
				const error = undecided.has(socket) ? withheld() : undefined;
				if (error !== undefined) {
					// Whoever waits for the connection is to get the error and nothing else.
					socket.destroy(error);
					return true;
				}
				// Before TLS 1.3, the handshake does not end until the server has looked at the certificate.
				if (!undecided.has(socket) || socket.getProtocol() !== 'TLSv1.3') stopWatching();
				break;
			}
			// A ticket, or the beginning of an answer.
			case 'session':
			case 'data':
				stopWatching();
				break;
			case 'end':
				look();
				if (undecided.has(socket)) {
					socket.destroy(withheld() ?? new RefusedConnection('it closed it'));
					return true;
				}
				break;
			case 'error':
				return emit.call(socket, event, causeOf(values[0] as Error));
		}
		return emit.call(socket, event, ...values);
	};
}
