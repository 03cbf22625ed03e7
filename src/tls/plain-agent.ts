/**
 * Agents for plain http. What goes to this machine goes there directly: names of it are asked of nobody (RFC 6761
 * section 6.3), since whoever answers could name another machine.
 */
import {isIP, type LookupFunction} from 'node:net';
import type {Duplex} from 'node:stream';
import {isLoopback} from '../strategy/hosts.ts';
import {keepNoConnections} from './agents.ts';
import {DirectAgent} from './requests-apart.ts';
import {type ProxyServer, placeOf, type WayOut} from './way-out.ts';

type Created = (error: Error | null, socket?: Duplex) => void;
type Options = Record<string, unknown> & {host?: string | null};

/** Connects to where it is told; a name of this machine leads to this machine. */
export class PlainAgent extends DirectAgent {
	readonly #through: {proxy: ProxyServer; way: WayOut} | undefined;

	/** @param through the proxy that all of its connections lead to; absent: directly. */
	constructor(through?: {proxy: ProxyServer; way: WayOut}) {
		super({keepAlive: true, scheduling: 'lifo'});
		this.#through = through;
	}

	override createConnection(...parameters: unknown[]): Duplex | null | undefined {
		const [requested, created] = parameters as [Options, Created];
		const connect = (to: object): Duplex | null | undefined => super.createConnection(to, created);
		if (this.#through === undefined) {
			return connect(isOfThisMachine(requested) ? {...requested, lookup: lookUpHere} : requested);
		}
		const {proxy, way} = this.#through;
		if (proxy.url.protocol === 'http:') return connect({...requested, ...placeOf(proxy.url)});
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

const isAddress = ({hostname}: Pick<URL, 'hostname'>): boolean =>
	isIP(hostname.replace(/^\[(.*)\]$/, '$1')) !== 0;

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
	/** An address is not looked up. */
	readonly #toAddresses = new DirectAgent({keepAlive: true, scheduling: 'lifo'});
	readonly #byProxy = new Map<string, PlainAgent>();

	/** @param url what all requests over the agent go to; absent: they may go anywhere. */
	for(proxy?: ProxyServer, way?: WayOut, url?: Pick<URL, 'hostname'>): DirectAgent {
		if (proxy === undefined && url !== undefined && isAddress(url)) return this.#toAddresses;
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
		for (const agent of this.#all()) keepNoConnections(agent);
	}

	/** Close all connections. */
	close(): void {
		for (const agent of this.#all()) agent.destroy();
	}

	#all(): readonly DirectAgent[] {
		return [this.#direct, this.#toAddresses, ...this.#byProxy.values()];
	}
}
