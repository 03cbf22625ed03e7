/**
 * Connections that are opened before the request which goes over them, for credentials that are tied to a connection.
 * Each has an undici client of its own, so a request that is given to it goes over that connection and no other.
 */
import type {Socket} from 'node:net';
import {setImmediate as immediate} from 'node:timers/promises';
import {TLSSocket} from 'node:tls';
import type {Client} from 'undici';
import type {Connection} from '../../strategy/index.ts';
import {certificatesOf} from '../../tls/peer-certificates.ts';
import type {Connector} from './connect.ts';
import {loadUndici} from './load.ts';

export class ReadyConnection {
	readonly client: Client;
	readonly #socket: Socket;

	constructor(origin: string, socket: Socket) {
		this.#socket = socket;
		let isTaken = false;
		// It may break while nobody uses it; whoever uses it then is told.
		socket.on('error', () => {});
		this.client = new (loadUndici().Client)(origin, {
			connect: (_target, callback) => {
				const isGone = isTaken || socket.destroyed;
				isTaken = true;
				// undici does not go on where it is called back at once.
				queueMicrotask(() => (isGone ? callback(closedMeanwhile(), null) : callback(null, socket)));
			},
		});
	}

	/** Whether one more request can go over it. */
	get isOpen(): boolean {
		return !this.#socket.destroyed && this.#socket.writable && !this.client.destroyed;
	}

	whenClosed(tell: () => void): void {
		this.#socket.once('close', tell);
	}

	/** What a strategy may know of it. */
	describe(): Connection {
		if (!(this.#socket instanceof TLSSocket)) return {};
		// Of a resumed session too: Node keeps the certificate with it.
		const [certificate] = certificatesOf(this.#socket);
		return certificate === undefined ? {} : {serverCertificate: new Uint8Array(certificate.raw)};
	}

	close(): void {
		this.client.destroy().catch(() => {});
		this.#socket.destroy();
	}
}

function closedMeanwhile(): Error {
	return Object.assign(new Error('The connection was closed'), {code: 'ECONNRESET'});
}

/** Those of one owner to all servers that it speaks to. */
export class ReadyConnections {
	readonly #connect: Connector;
	readonly #idle = new Map<string, ReadyConnection[]>();
	readonly #all = new Set<ReadyConnection>();
	#keepsNone: boolean;

	/** @param keeps whether one can be used again. */
	constructor(connect: Connector, keeps: boolean) {
		this.#connect = connect;
		this.#keepsNone = !keeps;
	}

	/**
	 * One that nobody else uses until it is given back: an idle one, or a new one.
	 *
	 * @throws what the connection fails with, or an error with the code `ETIMEDOUT`.
	 */
	async take(url: URL, timeout: number): Promise<ReadyConnection> {
		const idle = this.#idle.get(url.origin);
		for (let known = idle?.pop(); known !== undefined; known = idle?.pop()) {
			if (known.isOpen) return known;
			this.#drop(known);
		}
		const connection = new ReadyConnection(url.origin, await this.#open(url, timeout));
		this.#all.add(connection);
		connection.whenClosed(() => this.#forget(url, connection));
		return connection;
	}

	/** Give one back whose request is through. */
	async give(url: URL, connection: ReadyConnection): Promise<void> {
		// undici closes those that the server does not keep right after the response.
		await immediate();
		if (this.#keepsNone || !connection.isOpen) {
			this.#drop(connection);
			return;
		}
		const idle = this.#idle.get(url.origin);
		if (idle === undefined) this.#idle.set(url.origin, [connection]);
		else idle.push(connection);
	}

	/** Close those that are idle now, and the others when they are given back. */
	close(): void {
		this.#keepsNone = true;
		for (const connection of [...this.#idle.values()].flat()) this.#drop(connection);
		this.#idle.clear();
	}

	/** Close all at once. */
	destroy(): void {
		this.close();
		for (const connection of this.#all) this.#drop(connection);
	}

	#forget(url: URL, connection: ReadyConnection): void {
		this.#drop(connection);
		const idle = this.#idle.get(url.origin)?.filter(one => one !== connection);
		if (idle === undefined) return;
		if (idle.length === 0) this.#idle.delete(url.origin);
		else this.#idle.set(url.origin, idle);
	}

	#drop(connection: ReadyConnection): void {
		this.#all.delete(connection);
		connection.close();
	}

	#open(url: URL, timeout: number): Promise<Socket> {
		return new Promise((resolve, reject) => {
			let isLate = false;
			const timer = setTimeout(() => {
				isLate = true;
				const message = `No connection within ${timeout} ms`;
				reject(Object.assign(new Error(message), {code: 'ETIMEDOUT'}));
			}, timeout);
			const {protocol, host, hostname, port} = url;
			const target = {protocol, host, hostname: hostname.replace(/^\[(.*)\]$/, '$1'), port, allowH2: false};
			this.#connect(target, (error, socket) => {
				clearTimeout(timer);
				if (error !== null) reject(error);
				else if (isLate) socket.on('error', () => {}).destroy();
				else resolve(socket);
			});
		});
	}
}
