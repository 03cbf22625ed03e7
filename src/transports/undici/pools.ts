/**
 * The connections that undici keeps for gatepass: one agent, and so one pool per origin, for each identity and trust
 * store, and for each owner of connections within a rule. undici's own pool knows origins only.
 */
import type {Agent as NodeAgent} from 'node:http';
import type {Agent, Dispatcher} from 'undici';
import type {HopRequest, Route} from '../../hop/request.ts';
import type {Identity} from '../../strategy/index.ts';
import type {CallersAgent} from '../../tls/callers-agents.ts';
import {mostOwners} from '../../tls/isolated-agents.ts';
import type {Ways} from '../../tls/ways.ts';
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

/** The groups of one owner and identity, by trust store and by way out. */
type ByTrust = Map<unknown, Map<object, PoolGroup>>;

/** Stands for "no rule's own", "no identity" and "the system's roots" among the keys. */
const none = Symbol('none');

export class UndiciPools {
	/** By rule and owner, or neither; then by identity, trust store and way out. */
	readonly #groups = new Map<unknown, Map<string, Map<unknown, ByTrust>>>();
	readonly #retired = new WeakSet<Identity>();
	readonly #ways: Ways;
	/** Whose client certificate and limits the connections have. */
	readonly #callers: CallersAgent | undefined;
	readonly #ofCallers = new WeakMap<CallersAgent, UndiciPools>();
	readonly #others = new Set<WeakRef<UndiciPools>>();
	#plain: Dispatcher | undefined;

	constructor(ways: Ways, callers?: CallersAgent) {
		this.#ways = ways;
		this.#callers = callers;
	}

	/** The same for a dispatcher of the caller's, whose place they take. They go when that goes. */
	inPlaceOf(callers: CallersAgent | undefined): UndiciPools {
		if (callers === undefined) return this;
		let pools = this.#ofCallers.get(callers);
		if (pools === undefined) {
			pools = new UndiciPools(this.#ways, callers);
			this.#ofCallers.set(callers, pools);
			for (const other of this.#others) if (other.deref() === undefined) this.#others.delete(other);
			this.#others.add(new WeakRef(pools));
		}
		return pools;
	}

	/** For what no rule and no trust store says anything about. */
	get plain(): Dispatcher {
		this.#plain ??= this.#makePlain();
		return this.#plain;
	}

	#makePlain(): Dispatcher {
		const {Agent, EnvHttpProxyAgent} = loadUndici();
		// Said aloud, since the environment could switch it off.
		const connect = {rejectUnauthorized: true};
		const variables = this.#ways.for().variables;
		if (variables === undefined) return new Agent({connect});
		const {http_proxy: httpProxy, https_proxy: httpsProxy, no_proxy: noProxy} = variables;
		return new EnvHttpProxyAgent({
			connect,
			requestTls: connect,
			proxyTls: connect,
			httpProxy: httpProxy ?? '',
			httpsProxy: httpsProxy ?? '',
			noProxy: noProxy ?? '',
		});
	}

	/** The connections over which a request of a route may go. */
	groupFor(route: Route, wanted: Wanted): PoolGroup {
		const {identity, connectionOwner, proxy} = wanted;
		const owner =
			proxy === undefined ? connectionOwner : `${connectionOwner ?? ''} through ${proxy.url.origin}`;
		if (owner !== undefined) return this.#makeGroup(route, wanted, owner);
		// Nothing is made where it is there already, which is so for every request but the first.
		const byTrust = this.#groups
			.get(none)
			?.get('')
			?.get(identity ?? none);
		return byTrust?.get(route.trust ?? none)?.get(route.way) ?? this.#makeGroup(route, wanted, owner);
	}

	#makeGroup(route: Route, wanted: Wanted, owner: string | undefined): PoolGroup {
		const {identity} = wanted;
		const agents = (url: URL): NodeAgent => agentFor(route, url, wanted, owner, this.#callers);
		const settings = {connect: connectorOf(agents), allowH2: identity === undefined && owner === undefined};
		// Nobody will ask for it again, and with it would stay a private key.
		if (identity !== undefined && this.#retired.has(identity))
			return new PoolGroup({...settings, keeps: false});
		const byOwner = entry(this.#groups, owner === undefined ? none : route.rule, () => new Map());
		const byIdentity = entry(byOwner, owner ?? '', () => new Map());
		if (owner !== undefined) keepRecent(byOwner, owner, byIdentity);
		const byTrust = entry(byIdentity, identity ?? none, () => new Map());
		const byWay = entry(byTrust, route.trust ?? none, () => new Map());
		return entry(byWay, route.way, () => new PoolGroup({...settings, keeps: true}));
	}

	/** Let the connections of `identity` end: idle ones now, those in use when their requests are through. */
	retire(identity: Identity): void {
		this.#retired.add(identity);
		for (const pools of this.#living()) pools.retire(identity);
		for (const byIdentity of this.#identities()) {
			for (const group of groupsIn(byIdentity.get(identity))) group.close().catch(() => {});
			byIdentity.delete(identity);
		}
	}

	/** Let all connections end when their requests are through. */
	async close(): Promise<void> {
		await Promise.all([
			this.#plain?.close(),
			...this.#all().map(group => group.close()),
			...this.#living().map(pools => pools.close()),
		]);
	}

	/** End all connections now. */
	async destroy(error: Error | null = null): Promise<void> {
		await Promise.all([
			this.#plain?.destroy(error),
			...this.#all().map(group => group.destroy(error)),
			...this.#living().map(pools => pools.destroy(error)),
		]);
		this.#groups.clear();
	}

	#living(): UndiciPools[] {
		return [...this.#others].map(pools => pools.deref()).filter(pools => pools !== undefined);
	}

	#identities(): Map<unknown, ByTrust>[] {
		return [...this.#groups.values()].flatMap(byOwner => [...byOwner.values()]);
	}

	#all(): PoolGroup[] {
		return this.#identities().flatMap(byIdentity => [...byIdentity.values()].flatMap(groupsIn));
	}
}

function groupsIn(byTrust: ByTrust | undefined): PoolGroup[] {
	return [...(byTrust?.values() ?? [])].flatMap(byWay => [...byWay.values()]);
}

function entry<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
	let value = map.get(key);
	if (value === undefined) {
		value = make();
		map.set(key, value);
	}
	return value;
}

/** Connections of owners that nobody asked for lately end; see `tls/isolated-agents.ts`. */
function keepRecent(
	byOwner: Map<string, Map<unknown, ByTrust>>,
	owner: string,
	groups: Map<unknown, ByTrust>,
): void {
	byOwner.delete(owner);
	byOwner.set(owner, groups);
	const [oldest] = byOwner;
	if (byOwner.size <= mostOwners || oldest === undefined) return;
	byOwner.delete(oldest[0]);
	for (const byTrust of oldest[1].values()) {
		for (const group of groupsIn(byTrust)) group.close().catch(() => {});
	}
}

/** It only opens connections: its pool is not used. */
function agentFor(
	route: Route,
	url: URL,
	{identity, proxy}: Wanted,
	owner: string | undefined,
	callers: CallersAgent | undefined,
): NodeAgent {
	if (owner === undefined)
		return url.protocol === 'https:' ? route.agentFor(identity, callers) : route.plainAgentFor(url);
	const agent = route.ownAgentFor(owner, url, identity, proxy);
	return proxy === undefined || route.rule === undefined
		? agent
		: throughProxy(agent, proxy, route.rule.info);
}
