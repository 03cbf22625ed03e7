/**
 * Agents for plain http. What goes to this machine goes there directly: names of it are asked of nobody (RFC 6761
 * section 6.3), since whoever answers could name another machine.
 */
import type {ClientRequest} from 'node:http';
import type {LookupFunction, Socket} from 'node:net';
import type {Duplex} from 'node:stream';
import {isLoopback} from '../strategy/hosts.ts';
import {keepNoConnections} from './agents.ts';
import {limitIdle, useAgain} from './idle-connections.ts';
import {HttpAgent} from './node-http.ts';
import {type ProxyServer, placeOf, type WayOut} from './way-out.ts';

type Created = (error: Error | null, socket?: Duplex) => void;
type Options = Record<string, unknown> & {host?: string | null};

/** Connects to where it is told; a name of this machine leads to this machine. */
export class PlainAgent extends HttpAgent {
	readonly #through: {proxy: ProxyServer; way: WayOut} | undefined;

	/** @param through the proxy that all of its connections lead to; absent: directly. */
	constructor(through?: {proxy: ProxyServer; way: WayOut}) {
		super({keepAlive: true, scheduling: 'lifo'});
		this.#through = through;
	}

	override keepSocketAlive(socket: Duplex): boolean {
		const isKept = super.keepSocketAlive(socket) !== (false as unknown);
		if (isKept) limitIdle(socket as Socket);
		return isKept;
	}

	override reuseSocket(socket: Duplex, request: ClientRequest): void {
		super.reuseSocket(socket, request);
		useAgain(socket as Socket);
	}

	override createConnection(...parameters: unknown[]): Duplex | null | undefined {
		const [requested, created] = parameters as [Options, Created];
		const {headers: _, auth: __, agent: ___, ...options} = requested;
		const connect = (to: object): Duplex | null | undefined =>
			super.createConnection(to as never, created as never) as Duplex | null | undefined;
		if (this.#through === undefined) {
			return connect(isOfThisMachine(options) ? {...options, lookup: lookUpHere} : options);
		}
		const {proxy, way} = this.#through;
		if (proxy.url.protocol === 'http:') return connect({...options, ...placeOf(proxy.url)});
		way.connectTo(proxy).then(
			socket => created(null, socket),
			error => created(error as Error),
		);
		return undefined;
	}
}

function isOfThisMachine({host, socketPath}: Options): boolean {
	return socketPath == null && typeof host === 'string' && isLoopback(host.toLowerCase());
}

/** The addresses of this machine, for its names. */
const lookUpHere: LookupFunction = (_hostname, {all, family}, callback) => {
	const every = [
		{address: '127.0.0.1', family: 4},
		{address: '::1', family: 6},
	];
	const wanted = family === 4 || family === 6 ? every.filter(one => one.family === family) : every;
	// As Node does it: never before the call has returned.
	process.nextTick(() => {
		if (all === true) callback(null, wanted);
		else callback(null, wanted[0]?.address ?? '', wanted[0]?.family);
	});
};

/** Those of one gatepass. */
export class PlainAgents {
	readonly #direct = new PlainAgent();
	readonly #byProxy = new Map<string, PlainAgent>();

	for(proxy?: ProxyServer, way?: WayOut): PlainAgent {
		if (proxy === undefined || way === undefined) return this.#direct;
		let agent = this.#byProxy.get(proxy.url.origin);
		if (agent === undefined) {
			agent = new PlainAgent({proxy, way});
			this.#byProxy.set(proxy.url.origin, agent);
		}
		return agent;
	}

	/** Let all connections end: idle ones now, those in use when their requests are through. */
	letGo(): void {
		for (const agent of [this.#direct, ...this.#byProxy.values()]) keepNoConnections(agent);
	}

	/** Close all connections. */
	close(): void {
		for (const agent of [this.#direct, ...this.#byProxy.values()]) agent.destroy();
	}
}
