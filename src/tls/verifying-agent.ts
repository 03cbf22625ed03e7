/**
 * An agent whose connections are verified against a trust store: its CA certificates as they are now, and then its
 * revocation lists and name rules.
 *
 * The checks belong to the connection, not to a request: Node tells requests with checks of their own apart and would
 * keep no connection for them. See docs/decisions/0009-trust-sets.md.
 */

import type {Agent} from 'node:https';
import type {Duplex} from 'node:stream';
import type {ConnectionOptions, SecureContext, SecureContextOptions} from 'node:tls';
import type {TrustStore} from '../trust/trust-store.ts';
import {type Created, connectTls, type RequestedConnection} from './connect-tls.ts';
import {WatchedAgent, type WatchedAgentSettings} from './rejections.ts';
import {keepingApart} from './requests-apart.ts';

/** Where a connection leads. */
export interface Destination {
	readonly host: string;
	readonly port: number;
}

/** How the agent gets to a server, where that is not directly. */
export interface Way {
	/** A connection through which the server is reached, such as a proxy's tunnel; `undefined`: directly. */
	open?(to: Destination): Promise<Duplex> | undefined;
	/** Code of the caller's that opens whole connections. */
	connect?(options: ConnectionOptions, created: Created): Duplex | null | undefined;
}

export interface TrustingAgentSettings extends WatchedAgentSettings {
	readonly trust: TrustStore | undefined;
	/** Made again when the CA certificates are others, and for what a caller gives for TLS. */
	readonly makeContext: (requested: SecureContextOptions) => SecureContext;
	/** Default: directly. */
	readonly way?: Way | undefined;
}

/** What callers give for TLS besides what verifies: each combination needs a context of its own. */
const contextOptions = [
	'ca',
	'cert',
	'key',
	'pfx',
	'passphrase',
	'ciphers',
	'crl',
	'dhparam',
	'ecdhCurve',
	'honorCipherOrder',
	'maxVersion',
	'minVersion',
	'secureOptions',
	'sigalgs',
] as const;

export class TrustingAgent extends keepingApart(WatchedAgent) {
	readonly #trust: TrustStore | undefined;
	readonly #makeContext: TrustingAgentSettings['makeContext'];
	readonly #way: Way;
	/** What the agent itself gives for TLS. Node merges it into what is asked for; others do not. */
	readonly #given: SecureContextOptions;
	#context: SecureContext;
	#version: number | undefined;
	/** The one that was made last for what a caller gave. */
	#ofCaller: {name: string; version: number | undefined; context: SecureContext} | undefined;

	/** @throws what `makeContext` throws. */
	constructor({trust, makeContext, way = {}, ...options}: TrustingAgentSettings) {
		super({keepAlive: true, scheduling: 'lifo', ...options});
		this.#trust = trust;
		this.#makeContext = makeContext;
		this.#way = way;
		this.#given = Object.fromEntries(
			Object.entries(options).filter(([name]) => contextOptions.some(known => known === name)),
		);
		this.#version = trust?.version();
		this.#context = makeContext({});
	}

	/** Node before 24.18.1 and 22.23.2 keeps a connection that one request's own check let pass for the next request. */
	override getName(options?: RequestedConnection): string {
		const name = super.getName(options as never);
		const own = options?.checkServerIdentity;
		return own === undefined ? name : `${name}:${numberOf(own)}`;
	}

	override createConnection(...parameters: Parameters<Agent['createConnection']>): Duplex | null | undefined {
		const [asked, created] = parameters as unknown as [RequestedConnection, Created];
		const requested = {...this.#given, ...asked};
		const trust = this.#trust;
		const context = this.#contextFor(requested);
		const {connect} = this.#way;
		if (connect !== undefined) {
			return connectTls(requested, {trust, context, connect, isForeign: true}, created);
		}
		const settings = {
			trust,
			context,
			connect: (options: ConnectionOptions, done: Created) =>
				super.createConnection(options as never, done as never) as Duplex | null | undefined,
		};
		const tunnel = this.#way.open?.({
			host: requested.host ?? 'localhost',
			port: Number(requested.port ?? 443),
		});
		if (tunnel === undefined) return connectTls(requested, settings, created);
		tunnel
			.then(inner => {
				// It closes with what runs inside it, and what breaks it is told there.
				const socket = connectTls({...requested, socket: inner}, settings, created);
				if (socket) created(null, socket);
			})
			.catch((error: Error) => created(error));
		return undefined;
	}

	#contextFor(requested: RequestedConnection): SecureContext {
		const version = this.#trust?.version();
		if (version !== this.#version) {
			this.#context = this.#makeContext({});
			this.#version = version;
		}
		const given = contextOptions.filter(name => requested[name] !== undefined);
		if (given.length === 0) return this.#context;
		const name = given.map(key => `${key}=${String(requested[key])}`).join('\n');
		if (this.#ofCaller?.name !== name || this.#ofCaller.version !== version) {
			const options = Object.fromEntries(given.map(key => [key, requested[key]]));
			this.#ofCaller = {name, version, context: this.#makeContext(options)};
		}
		return this.#ofCaller.context;
	}
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
