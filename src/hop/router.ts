/** Decides what is done for each hop: its rule, the strategy of that rule, its trust store. */

import {ClosedError, InsecureTransportError, NoRuleError} from '../errors.ts';
import type {HostRule} from '../host-rules/host-rule.ts';
import {type Matcher, ownCopy} from '../host-rules/matcher.ts';
import type {Events} from '../observability/events.ts';
import {isLoopback, withoutTrailingDot} from '../strategy/hosts.ts';
import {type AuthStrategy, definitionOf, type RuleInfo, type StrategyClass} from '../strategy/index.ts';
import type {TlsAgents} from '../tls/agents.ts';
import type {OwnedAgents} from '../tls/isolated-agents.ts';
import type {ProxyServer} from '../tls/way-out.ts';
import type {Ways} from '../tls/ways.ts';
import type {TrustLookup} from '../trust/no-trust-stores.ts';
import type {TrustStore} from '../trust/trust-store.ts';
import type {Place, Route, Router, SwitchableRouter} from './request.ts';
import {RotatingStrategy} from './rotating-strategy.ts';

/** More origins than a person reads about. */
const mostTold = 1000;
/** So many origins are known by their one route; a service that speaks to more begins again. */
const mostOrigins = 1000;

/** A rule with the strategy that serves it. */
export interface BoundRule {
	readonly rule: HostRule;
	readonly info: RuleInfo;
	readonly carriesCredential: boolean;
	/** Whether the server takes a connection for its first user's. */
	readonly isConnectionBound?: boolean | undefined;
	/** Built at its first use; always the same instance. */
	readonly strategy: AuthStrategy;
}

/** Builds the strategy of a rule. */
export type StrategyBuilder = (rule: HostRule, info: RuleInfo) => AuthStrategy;

/** Pair each rule with its strategy, which is built when it is first needed. */
export function bindRules(
	rules: readonly HostRule[],
	strategyOf: (name: string) => StrategyClass | undefined,
	build: StrategyBuilder,
	folder: string,
): readonly BoundRule[] {
	return rules.map(rule => {
		const {strategy: name, source, allowInsecure, patterns, tenant} = rule;
		const match = patterns.map(({text}) => text).join(', ');
		const info: RuleInfo = {match, strategy: name, source, allowInsecure, folder, tenant};
		let strategy: AuthStrategy | undefined;
		return {
			rule,
			info,
			carriesCredential: definitionOf(strategyOf(name))?.carriesCredential !== false,
			isConnectionBound: rule.connectionBound,
			get strategy() {
				strategy ??=
					rule.rotating === undefined
						? build(rule, info)
						: new RotatingStrategy(rule.rotating, rule.options, options => build({...rule, options}, info));
				return strategy;
			},
		};
	});
}

export class HostRuleRouter implements SwitchableRouter {
	readonly #matcher: Matcher<HostRule>;
	readonly #rules: readonly BoundRule[];
	readonly #trust: TrustLookup;
	readonly #agents: TlsAgents;
	readonly #owned: OwnedAgents;
	readonly #ways: Ways;
	readonly #events: Events;
	readonly #strict: boolean;
	#isClosed = false;
	/** The origins of which {@link tellUnmatched} has told. */
	readonly #told = new Set<string>();
	readonly #waysWithin = new WeakMap<object, object>();
	/** Routes by rule and trust store: there are few, and making one for each request would be waste. */
	readonly #routes = new Map<BoundRule | undefined, Map<TrustStore | undefined, Route>>();

	/** The routes of origins that have one for all paths and methods, by host and port. */
	readonly #settledHttp = new Map<string, Route>();
	readonly #settledHttps = new Map<string, Route>();

	/** For requests that the caller wants sent without authentication: their servers are verified all the same. */
	readonly withoutRules: Router = {
		route: url => {
			this.checkOpen();
			return this.#routeFor(undefined, url);
		},
		carriesCredential: () => false,
	};

	constructor(
		matcher: Matcher<HostRule>,
		rules: readonly BoundRule[],
		trust: TrustLookup,
		agents: TlsAgents,
		owned: OwnedAgents,
		ways: Ways,
		events: Events,
		strict = false,
	) {
		this.#strict = strict;
		this.#matcher = matcher;
		this.#rules = rules;
		this.#trust = trust;
		this.#agents = agents;
		this.#owned = owned;
		this.#ways = ways;
		this.#events = events;
	}

	/** The rule for a URL, in use. */
	ruleFor(url: Place, method: string): BoundRule | undefined {
		const entry = this.#matcher.find(url, method);
		return entry === undefined ? undefined : this.#rules[entry.value.index];
	}

	/** The rules for a URL, whatever the method: each that is chosen for one. */
	rulesFor(url: URL): readonly BoundRule[] {
		const methods = new Set(['GET', ...this.#rules.flatMap(({rule}) => rule.methods ?? [])]);
		const chosen = new Set([...methods].map(method => this.ruleFor(url, method)));
		return [...chosen].filter(rule => rule !== undefined);
	}

	route(url: Place, method: string): Route | undefined {
		this.checkOpen();
		const settled = (url.protocol === 'https:' ? this.#settledHttps : this.#settledHttp).get(url.host);
		if (settled !== undefined && (url.protocol === 'https:' || url.protocol === 'http:')) return settled;
		const rule = this.ruleFor(url, method);
		if (rule === undefined && this.#strict) {
			throw new NoRuleError(
				`No host rule matches ${method} ${url.origin}${url.pathname}, and the configuration says 'strict: true'. Add a rule; 'gatepass explain' says why none matches`,
			);
		}
		const route = this.#routeFor(rule, url);
		return route && this.#settle(route, url);
	}

	/** Where every request to the origin has this route, what else depends on the origin alone is decided with it. */
	#settle(route: Route, url: Place): Route {
		if (!/^https?:$/.test(url.protocol)) return route;
		const isForAll = this.#matcher.findForAll(url) !== undefined && this.#trust.findForAll(url) !== undefined;
		if (!isForAll) return route;
		const settled: Route = {
			...route,
			ofOrigin: {
				proxy: route.proxyFor(url),
				plainAgent: url.protocol === 'http:' ? route.plainAgentFor(url) : undefined,
			},
		};
		const byHost = url.protocol === 'https:' ? this.#settledHttps : this.#settledHttp;
		if (byHost.size === mostOrigins) byHost.clear();
		byHost.set(ownCopy(url.host), settled);
		return settled;
	}

	/**
	 * The rule whose credential a proxy gets: one that names it. A credential in the proxy's URL comes first, and a
	 * pattern with a star was not written with proxies in mind.
	 */
	ruleForProxy({url, authorization}: ProxyServer): BoundRule | undefined {
		if (authorization !== undefined) return undefined;
		const rule = this.ruleFor(url, 'CONNECT');
		const isNamed = rule?.rule.patterns.some(
			({kind, host}) => kind === 'exact' && host === withoutTrailingDot(url.hostname),
		);
		return isNamed === true && rule?.carriesCredential === true ? rule : undefined;
	}

	/** The trust store that a request would use. */
	trustFor(url: URL): TrustStore | undefined {
		return this.#trust.find(url);
	}

	/** What was not allowed to go over plain http to other machines does not, whatever a proxy says. */
	staysHere(rule: BoundRule | undefined, {protocol, hostname}: Place): boolean {
		return protocol === 'http:' && rule !== undefined && mustStay(rule) && isLoopback(hostname);
	}

	/** The same way for rules of which plain http stays on this machine. */
	#wayWithin(way: object): object {
		let within = this.#waysWithin.get(way);
		if (within === undefined) {
			within = {};
			this.#waysWithin.set(way, within);
		}
		return within;
	}

	/** From now on every request is an error. */
	close(): void {
		this.#isClosed = true;
	}

	/** @throws {ClosedError} after {@link close}. */
	checkOpen(): void {
		if (this.#isClosed) {
			throw new ClosedError('This gatepass is closed. Make requests before close(), or create another one');
		}
	}

	tellUnmatched(url: URL, status: number): void {
		if ((status !== 401 && status !== 403) || this.#told.has(url.origin) || this.#told.size === mostTold)
			return;
		this.#told.add(url.origin);
		const name = 'gatepass:request:unmatched';
		if (this.#events.audience[name].hasSubscribers) {
			this.#events.publish(name, {url: `${url.origin}${url.pathname}`, status});
			return;
		}
		process.emitWarning(
			`${url.origin} answered ${status}, and no host rule matches ${url.origin}${url.pathname}, so nothing was shown to it. 'gatepass explain URL' says why`,
			{type: 'GatepassWarning', code: 'GATEPASS_NO_RULE'},
		);
	}

	#routeFor(rule: BoundRule | undefined, url: Place): Route | undefined {
		const trust = this.#trust.find(url);
		// What the configuration says about the way out holds where nothing else is said, too.
		if (rule === undefined && trust === undefined && !this.#ways.isSet) return undefined;
		// Node takes 0 for "no port" and connects to the scheme's own: the rule would be for another server.
		if (url.port === '0') {
			throw new InsecureTransportError({
				code: 'url-names-no-port',
				what: `${url.origin} names port 0, on which no server can listen`,
				hint: 'Write the port of the server, or none',
			});
		}
		let byTrust = this.#routes.get(rule);
		if (byTrust === undefined) {
			byTrust = new Map();
			this.#routes.set(rule, byTrust);
		}
		let route = byTrust.get(trust);
		if (route === undefined) {
			const way = this.#ways.for(rule?.rule);
			const staysHere = (target: Place): boolean => this.staysHere(rule, target);
			route = {
				rule,
				trust,
				events: this.#events,
				way: rule !== undefined && mustStay(rule) ? this.#wayWithin(way) : way,
				agentFor: (identity, callers) =>
					this.#agents.for(identity, trust, {callers, way: this.#ways.besides(callers, way)}),
				ownAgentFor: (owner, target, identity, through) =>
					this.#owned.for(rule, owner, target, identity, trust, {
						way: through || staysHere(target) ? undefined : way,
					}),
				plainAgentFor: target => this.#ways.plainAgentFor(target, staysHere(target) ? undefined : way),
				staysHere,
				proxyFor: target => (staysHere(target) ? undefined : way.proxyFor(target)),
				proxyRuleFor: target => {
					if (target.protocol !== 'http:' || staysHere(target)) return undefined;
					const proxy = way.proxyFor(target);
					const named = proxy && this.ruleForProxy(proxy);
					return proxy === undefined || named === undefined ? undefined : {proxy, rule: named};
				},
			};
			byTrust.set(trust, route);
		}
		return route;
	}

	carriesCredential(url: URL, method: string): boolean {
		return this.ruleFor(url, method)?.carriesCredential ?? false;
	}
}

/** Whether plain http is allowed only because it does not leave this machine. */
function mustStay({carriesCredential, info}: BoundRule): boolean {
	return carriesCredential && !info.allowInsecure;
}
