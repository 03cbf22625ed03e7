/**
 * A leg that is made before it is sent, so that its connection is known beforehand: Node gives a request its socket
 * as soon as it is made, and writes its head when its body begins or it ends.
 */
import type {ClientRequest} from 'node:http';
import {TLSSocket} from 'node:tls';
import type {HopRequest} from '../../hop/request.ts';
import type {Connection} from '../../strategy/index.ts';
import {certificatesOf} from '../../tls/peer-certificates.ts';
import {addChanges} from './leg.ts';

export class EarlyLeg {
	readonly #make: (request: HopRequest) => ClientRequest | Promise<ClientRequest>;
	#leg: ClientRequest | undefined;
	/** Lets go of the connection of the leg before, so that it can be used again. */
	beforeOpen: (() => Promise<void>) | undefined;
	/** Why the connection broke before the leg was sent. */
	#failure: Error | undefined;

	constructor(make: (request: HopRequest) => ClientRequest | Promise<ClientRequest>) {
		this.#make = make;
	}

	get isOpen(): boolean {
		return this.#leg !== undefined;
	}

	/** Make the leg and wait for its connection; `undefined` where it cannot wait. */
	async open(request: HopRequest, timeout: number): Promise<Connection | undefined> {
		// With this header Node writes the head at once.
		if (request.headers.has('expect')) return undefined;
		if (this.#leg === undefined) {
			await this.beforeOpen?.();
			const leg = await this.#make(request);
			// HTTP/2 has no connection of its own for a request.
			if ((leg as {isGotHttp2Request?: boolean}).isGotHttp2Request === true || !('setHeader' in leg)) {
				leg.destroy();
				return undefined;
			}
			this.#leg = leg;
			this.#failure = undefined;
			leg.on('error', error => {
				this.#failure ??= error;
			});
		}
		try {
			return describe(await untilConnected(this.#leg, timeout));
		} catch (error) {
			this.abandon();
			throw error;
		}
	}

	/** The leg with what the conversation has added since. */
	complete(request: HopRequest): ClientRequest {
		const leg = this.#leg as ClientRequest;
		this.#leg = undefined;
		if (this.#failure !== undefined) throw this.#failure;
		return addChanges(leg, request);
	}

	/** Nothing will be sent: let go of the connection. */
	abandon(): void {
		this.#leg?.destroy();
		this.#leg = undefined;
	}
}

async function untilConnected(leg: ClientRequest, timeout: number): Promise<ClientRequest['socket']> {
	return new Promise((resolve, reject) => {
		const timer = setTimeout(() => {
			const message = `No connection within ${timeout} ms`;
			settle(() => reject(Object.assign(new Error(message), {code: 'ETIMEDOUT'})));
		}, timeout);
		const settle = (outcome: () => void): void => {
			clearTimeout(timer);
			leg.off('error', onError);
			leg.off('close', onClose);
			outcome();
		};
		const onError = (error: Error): void => settle(() => reject(error));
		const onClose = (): void =>
			settle(() => reject(Object.assign(new Error('The connection was closed'), {code: 'ECONNRESET'})));
		const onSocket = (socket: NonNullable<ClientRequest['socket']>): void => {
			const isSecure = socket instanceof TLSSocket;
			// A socket of the pool is ready; a new one still has to connect.
			if (
				isSecure
					? socket.getProtocol() !== null && !socket.connecting && isVerified(socket)
					: !socket.connecting
			) {
				settle(() => resolve(socket));
			} else socket.once(isSecure ? 'secureConnect' : 'connect', () => settle(() => resolve(socket)));
		};
		leg.on('error', onError);
		leg.on('close', onClose);
		if (leg.socket !== null && leg.socket !== undefined) onSocket(leg.socket);
		else leg.once('socket', onSocket);
	});
}

/** Node verifies the server at the end of the handshake; before that, `authorized` is false. */
function isVerified(socket: TLSSocket): boolean {
	return socket.authorized || socket.authorizationError !== null;
}

function describe(socket: ClientRequest['socket']): Connection {
	if (!(socket instanceof TLSSocket)) return {};
	// Of a resumed session too: Node keeps the certificate with it.
	const [certificate] = certificatesOf(socket);
	return certificate === undefined ? {} : {serverCertificate: new Uint8Array(certificate.raw)};
}
