/**
 * The connections that undici keeps for gatepass: one agent, and so one pool per origin, for each identity and trust
 * store, and for each owner of connections within a rule. undici's own pool knows origins only.
 */
import {Agent as HttpAgent, type Agent as NodeAgent} from 'node:http';
import type {Agent, Dispatcher} from 'undici';
import type {HopRequest, Route} from '../../hop/request.ts';
import type {Identity} from '../../strategy/index.ts';
import {throughProxy} from '../tunnel/tunnel.ts';
import {type Connector, connectorOf} from './connect.ts';
import {loadUndici} from './load.ts';
import {ReadyConnections} from './ready-connections.ts';

/** What tells the connections of one request from those of others. */
export type Wanted = Pick<HopRequest, 'identity' | 'connectionOwner' | 'proxy'>;

/** How the connections of a group are made. */
interface GroupSettings {
	readonly connect: Connector;
	/** Sessions of HTTP/2 carry many requests at once: not where a connection is somebody's. */
	readonly allowH2: boolean;
	/** Whether they may be used again. */
	readonly keeps: boolean;
}

/** The connections that belong together. */
export class PoolGroup {
	readonly #settings: GroupSettings;
	#agent: Agent | undefined;
	#ready: ReadyConnections | undefined;

	constructor(settings: GroupSettings) {
		this.#settings = settings;
	}

	/** For one dispatch, at once. */
	get agent(): Dispatcher {
		if (this.#agent !== undefined) return this.#agent;
		const {connect, allowH2, keeps} = this.#settings;
		const agent = new (loadUndici().Agent)({connect, allowH2});
		if (keeps) this.#agent = agent;
		// Its one request is on its way when this is done.
		else setImmediate(() => void agent.close());
		return agent;
	}

	get ready(): ReadyConnections {
		this.#ready ??= new ReadyConnections(this.#settings.connect, this.#settings.keeps);
		return this.#ready;
	}

	/** Let idle connections end now, and those in use when their requests are through. */
	async close(): Promise<void> {
		const agent = this.#agent;
		this.#agent = undefined;
		this.#ready?.close();
		await agent?.close();
	}

	/** End all of them now. */
	async destroy(error: Error | null): Promise<void> {
		this.#ready?.destroy();
		await this.#agent?.destroy(error);
	}
}

/** Stands for "no rule's own", "no identity" and "the system's roots" among the keys. */
const none = Symbol('none');

export class UndiciPools {
	/** By rule and owner, or neither; then by identity and trust store. */
	readonly #groups = new Map<unknown, Map<string, Map<unknown, Map<unknown, PoolGroup>>>>();
	readonly #retired = new WeakSet<Identity>();
	#plain: Agent | undefined;

	/** For what no rule and no trust store says anything about. */
	get plain(): Dispatcher {
		// Said aloud, since the environment could switch it off.
		this.#plain ??= new (loadUndici().Agent)({connect: {rejectUnauthorized: true}});
		return this.#plain;
	}

	/** The connections over which a request of a route may go. */
	groupFor(route: Route, wanted: Wanted): PoolGroup {
		const {identity, connectionOwner, proxy} = wanted;
		const owner =
			proxy === undefined ? connectionOwner : `${connectionOwner ?? ''} through ${proxy.url.origin}`;
		const agents = (protocol: string): NodeAgent => agentFor(route, protocol, wanted, owner);
		const settings = {connect: connectorOf(agents), allowH2: identity === undefined && owner === undefined};
		// Nobody will ask for it again, and with it would stay a private key.
		if (identity !== undefined && this.#retired.has(identity))
			return new PoolGroup({...settings, keeps: false});
		const byOwner = entry(this.#groups, owner === undefined ? none : route.rule, () => new Map());
		const byIdentity = entry(byOwner, owner ?? '', () => new Map());
		const byTrust = entry(byIdentity, identity ?? none, () => new Map());
		return entry(byTrust, route.trust ?? none, () => new PoolGroup({...settings, keeps: true}));
	}

	/** Let the connections of `identity` end: idle ones now, those in use when their requests are through. */
	retire(identity: Identity): void {
		this.#retired.add(identity);
		for (const byIdentity of this.#identities()) {
			for (const group of byIdentity.get(identity)?.values() ?? []) group.close().catch(() => {});
			byIdentity.delete(identity);
		}
	}

	/** Let all connections end when their requests are through. */
	async close(): Promise<void> {
		await Promise.all([this.#plain?.close(), ...this.#all().map(group => group.close())]);
	}

	/** End all connections now. */
	async destroy(error: Error | null = null): Promise<void> {
		await Promise.all([this.#plain?.destroy(error), ...this.#all().map(group => group.destroy(error))]);
		this.#groups.clear();
	}

	#identities(): Map<unknown, Map<unknown, PoolGroup>>[] {
		return [...this.#groups.values()].flatMap(byOwner => [...byOwner.values()]);
	}

	#all(): PoolGroup[] {
		return this.#identities().flatMap(byIdentity =>
			[...byIdentity.values()].flatMap(byTrust => [...byTrust.values()]),
		);
	}
}

function entry<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
	let value = map.get(key);
	if (value === undefined) {
		value = make();
		map.set(key, value);
	}
	return value;
}

/** Only opens connections: its pool is not used. */
const plainHttp = new HttpAgent();

function agentFor(
	route: Route,
	protocol: string,
	{identity, proxy}: Wanted,
	owner: string | undefined,
): NodeAgent {
	if (owner === undefined) return protocol === 'https:' ? route.agentFor(identity) : plainHttp;
	const agent = route.ownAgentFor(owner, protocol, identity);
	return proxy === undefined || route.rule === undefined
		? agent
		: throughProxy(agent, proxy, route.rule.info);
}
