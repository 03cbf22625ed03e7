/**
 * An agent whose connections are verified against a trust store: its CA certificates as they are now, and then its
 * revocation lists and name rules.
 *
 * The checks belong to the connection, not to a request: Node tells requests with checks of their own apart and would
 * keep no connection for them. See docs/decisions/0009-trust-sets.md.
 */
import type {Agent, AgentOptions} from 'node:https';
import type {Duplex} from 'node:stream';
import {type ConnectionOptions, checkServerIdentity, type SecureContext, TLSSocket} from 'node:tls';
import type {TrustStore} from '../trust/trust-store.ts';
import {keptAlive} from './kept-alive.ts';
import {answerFromX509, certificatesOf} from './peer-certificates.ts';
import {WatchedAgent} from './rejections.ts';

type Created = (error: Error | null, socket?: Duplex) => void;

interface RequestedConnection extends ConnectionOptions {
	/** The pool's name for this connection and the sessions of others like it. */
	readonly _agentKey?: string | undefined;
}

export interface TrustingAgentSettings extends AgentOptions {
	readonly trust: TrustStore | undefined;
	/** Made again when the CA certificates are others. */
	readonly makeContext: () => SecureContext;
}

export class TrustingAgent extends WatchedAgent {
	readonly #trust: TrustStore | undefined;
	readonly #makeContext: () => SecureContext;
	#context: SecureContext;
	#version: number | undefined;

	/** @throws what `makeContext` throws. */
	constructor({trust, makeContext, ...options}: TrustingAgentSettings) {
		super({...keptAlive, ...options});
		this.#trust = trust;
		this.#makeContext = makeContext;
		this.#version = trust?.version();
		this.#context = makeContext();
	}

	/** Node before 24.18.1 and 22.23.2 keeps a connection that one request's own check let pass for the next request. */
	override getName(options?: RequestedConnection): string {
		const name = super.getName(options as never);
		const own = options?.checkServerIdentity;
		return own === undefined ? name : `${name}:${numberOf(own)}`;
	}

	override createConnection(...parameters: Parameters<Agent['createConnection']>): Duplex | null | undefined {
		const [requested, created] = parameters as unknown as [RequestedConnection, Created];
		const trust = this.#trust;
		const options = {
			...requested,
			secureContext: this.#currentContext(),
			// What one request asks for holds for its connections; what the environment asks for would hold for all.
			rejectUnauthorized: requested.rejectUnauthorized ?? true,
		};
		if (trust === undefined) return this.#connect(options, created);
		const {checkServerIdentity: checkNames = checkServerIdentity} = requested;
		if (!trust.checksChains) {
			// A session of before would vouch for a server whose CA is gone.
			const _agentKey =
				requested._agentKey === undefined ? undefined : `${requested._agentKey}:${this.#version}`;
			return this.#connect({...options, _agentKey}, created);
		}
		const isVerified = options.rejectUnauthorized !== false;
		const waits = trust.fetchesLists && isVerified;
		let socket: Duplex | null | undefined;
		const verified = {
			...options,
			// Without a name for it, no session is kept: on one that is resumed, nothing would be checked.
			_agentKey: undefined,
			checkServerIdentity: (...[host, peer]: Parameters<typeof checkServerIdentity>) => {
				const problem = checkNames(host, peer);
				if (problem !== undefined || waits) return problem;
				const [leaf, ...others] = certificatesOf(socket as TLSSocket);
				return leaf === undefined ? undefined : trust.checkServer(hostOf(options), leaf, others);
			},
		};
		socket = this.#connect(verified, created);
		if (!waits || !(socket instanceof TLSSocket)) return socket;
		whenChecked(socket, trust, hostOf(options), created);
		return undefined;
	}

	#connect(options: object, created: Created): Duplex | null | undefined {
		const socket = super.createConnection(options as never, created as never);
		if (socket instanceof TLSSocket) answerFromX509(socket);
		return socket;
	}

	#currentContext(): SecureContext {
		const version = this.#trust?.version();
		if (version !== this.#version) {
			this.#context = this.#makeContext();
			this.#version = version;
		}
		return this.#context;
	}
}

/** Hand a connection over once its revocation lists are there and speak for it. */
function whenChecked(socket: TLSSocket, trust: TrustStore, host: string, created: Created): void {
	socket.once('error', created);
	socket.once('secureConnect', () => {
		const [leaf, ...others] = certificatesOf(socket);
		const check = async (): Promise<void> => {
			if (leaf !== undefined) {
				await trust.prepare(leaf, others);
				const problem = trust.checkServer(host, leaf, others);
				if (problem !== undefined) throw problem;
			}
			if (socket.destroyed) throw new Error('The server closed the connection while it was verified');
			socket.removeListener('error', created);
			created(null, socket);
		};
		check().catch((error: Error) => {
			socket.removeListener('error', created);
			// Nobody else listens yet, and the server may have something to say at the end.
			socket.on('error', () => {});
			socket.destroy();
			created(error);
		});
	});
}

/** Host and port, the port only where it is not that of https: as in a URL. */
function hostOf({host = 'the server', port}: {host?: string | undefined; port?: unknown}): string {
	const name = host.includes(':') ? `[${host}]` : host;
	return port === undefined || Number(port) === 443 ? name : `${name}:${Number(port)}`;
}

const numbers = new WeakMap<object, number>();
let lastNumber = 0;

function numberOf(check: object): number {
	let number = numbers.get(check);
	if (number === undefined) {
		number = ++lastNumber;
		numbers.set(check, number);
	}
	return number;
}
