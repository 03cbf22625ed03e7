/**
 * Sends what it may through a dispatcher of the caller's, and the rest over connections of gatepass.
 *
 * A dispatcher takes one request like any other: it can neither show the identity of a rule nor verify by its trust
 * store, nor keep the connections of one owner apart. Where a hop needs that, the connections of gatepass take its
 * place, as they do with an agent of got's caller. A mock stays in every case: it connects nowhere.
 */
import {isIP} from 'node:net';
import type {Dispatcher} from 'undici';
import {StrategyError} from '../../errors.ts';
import type {Route} from '../../hop/request.ts';
import type {ProxyServer} from '../../tls/way-out.ts';
import {
	callersDispatcher,
	connectsDirectly,
	holdsCertificate,
	isMock,
	isProxy,
	originOf,
	verifies,
} from './foreign.ts';
import type {UndiciPools, Wanted} from './pools.ts';
import type {ReadyConnections} from './ready-connections.ts';
import {watchReadsOf} from './stale-reads.ts';
import type {Target} from './target.ts';

/** Where the legs of a hop are sent. */
export interface Connections {
	/** The one server that they lead to, whatever is asked for; `undefined`: to each that is asked for. */
	readonly origin?: string | undefined;
	/**
	 * For one dispatch, at once. Without a route there is nothing that gatepass wants of the connection.
	 *
	 * @throws {StrategyError} where there is none that would do.
	 */
	dispatcherFor(route: Route | undefined, target: Target | undefined, wanted: Wanted): Dispatcher;
	/** The proxy that is asked for the whole URL over such a connection (RFC 9112 section 3.2.2). */
	proxyFor(route: Route, target: Target, wanted: Wanted): ProxyServer | undefined;
	/** Connections that are known beforehand; `undefined`: there are none. */
	readyFor(route: Route, target: Target, wanted: Wanted): ReadyConnections | undefined;
}

/** Only connections of gatepass's own. */
export class OwnConnections implements Connections {
	readonly #pools: UndiciPools;

	constructor(pools: UndiciPools) {
		this.#pools = pools;
	}

	dispatcherFor(route: Route | undefined, _target: Target | undefined, wanted: Wanted): Dispatcher {
		return route === undefined ? this.#pools.plain : this.#pools.groupFor(route, wanted).agent;
	}

	proxyFor(route: Route, target: Target): ProxyServer | undefined {
		return target.protocol === 'http:' ? route.proxyFor(target) : undefined;
	}

	readyFor(route: Route, _target: Target, wanted: Wanted): ReadyConnections {
		return this.#pools.groupFor(route, wanted).ready;
	}
}

export class CallersConnections implements Connections {
	readonly origin: string | undefined;
	readonly #callers: Dispatcher;
	readonly #pools: UndiciPools;

	/** @throws {TypeError} for a dispatcher that does not send to the origin which it is asked for. */
	constructor(callers: Dispatcher, pools: UndiciPools) {
		if (typeof callers?.dispatch !== 'function') {
			throw new TypeError('This is no dispatcher of undici. Give one, such as an Agent');
		}
		if ('upstreams' in callers) {
			throw new TypeError(
				'A dispatcher that balances between servers sends a request to another server than its URL names, so no rule can be chosen. Give an Agent',
			);
		}
		this.#callers = callers;
		this.#pools = pools;
		this.origin = originOf(callers);
		watchReadsOf(callers);
	}

	dispatcherFor(route: Route | undefined, target: Target | undefined, wanted: Wanted): Dispatcher {
		if (target === undefined || this.#serves(route, target, wanted)) return this.#callers;
		const staysHere = route?.staysHere(target.url) === true;
		if (isProxy(this.#callers) && !staysHere) throw needsOther(target);
		return route === undefined ? this.#pools.plain : this.#ownFor(target).groupFor(route, wanted).agent;
	}

	proxyFor(route: Route, target: Target, wanted: Wanted): ProxyServer | undefined {
		// The caller's own decides by itself how it gets there.
		if (target.protocol !== 'http:' || this.#serves(route, target, wanted)) return undefined;
		return route.proxyFor(target);
	}

	readyFor(route: Route, target: Target, wanted: Wanted): ReadyConnections | undefined {
		if (isMock(this.#callers)) return undefined;
		if (isProxy(this.#callers)) throw needsOther(target);
		return this.#ownFor(target).groupFor(route, wanted).ready;
	}

	/** A certificate of the caller's is for the server that the caller asked for. */
	#ownFor({url, firstOrigin = url.origin}: Target): UndiciPools {
		return this.#pools.inPlaceOf(url.origin === firstOrigin ? callersDispatcher(this.#callers) : undefined);
	}

	#serves(
		route: Route | undefined,
		{url, firstOrigin = url.origin}: Target,
		{identity, connectionOwner, proxy}: Wanted,
	): boolean {
		if (isMock(this.#callers)) return true;
		if (connectionOwner !== undefined || proxy !== undefined) return false;
		// What is safe only because it does not leave this machine is not left to somebody else's way.
		if (url.protocol !== 'https:') {
			return route?.staysHere(url) !== true || (isIP(hostOf(url)) !== 0 && connectsDirectly(this.#callers));
		}
		// A certificate of the caller's is for the server that the caller asked for.
		if (url.origin !== firstOrigin && holdsCertificate(this.#callers)) return false;
		if (identity !== undefined || route?.trust !== undefined) return false;
		return route === undefined || verifies(this.#callers);
	}
}

function hostOf({hostname}: URL): string {
	return hostname.replace(/^\[(.*)\]$/, '$1');
}

/** A proxy of the caller's may be the only way out, or the only one that is allowed: it is not left out unasked. */
function needsOther({url}: Target): StrategyError {
	return new StrategyError({
		code: 'dispatcher-unsuitable',
		what: `${url.origin} needs a connection of gatepass's own, for its client certificate, its trust store or its owner, or because the dispatcher given verifies no servers; and that dispatcher goes through a proxy`,
		hint: 'Send this request by gatepass.dispatcher, or give a dispatcher that connects by itself',
	});
}
