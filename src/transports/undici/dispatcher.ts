/**
 * An undici dispatcher whose requests are authenticated. Redirects need no care: fetch and undici's interceptor
 * dispatch each hop by itself, and its rule, identity, trust store and connections are chosen for it here.
 */
import type {Dispatcher} from 'undici';
import {type Sendings, sendingsOf} from '../../hop/report.ts';
import type {Route, SwitchableRouter} from '../../hop/request.ts';
import {credentialAtHand} from '../../hop/run.ts';
import type {CredentialAtHand} from '../../strategy/index.ts';
import type {ProxyServer} from '../../tls/way-out.ts';
import {checkSetting, type GatepassContext} from '../request-setting.ts';
import {CallersConnections, type Connections, OwnConnections} from './connections.ts';
import {Exchange, type ExchangeSettings} from './exchange.ts';
import {ExplainingHandler} from './explaining-handler.ts';
import {toRecord} from './headers.ts';
import {LegAhead, maySendAhead} from './leg-ahead.ts';
import {isLegacy, modernHandler} from './legacy-handler.ts';
import {loadUndici} from './load.ts';
import type {UndiciPools, Wanted} from './pools.ts';
import {sendings, type Target, targetOf} from './target.ts';

type Options = Dispatcher.DispatchOptions & {
	readonly gatepass?: GatepassContext;
	readonly dispatcher?: unknown;
	readonly [sendings]?: Sendings;
};
type Handler = Dispatcher.DispatchHandler;

/** A dispatcher of any copy and version of undici from 7 on. */
export interface AnyDispatcher {
	/** As undici's. */
	dispatch(options: never, handler: never): boolean;
}

/** What the types of Node's own `fetch` take: those of an undici 7. Nothing where they are not there. */
type PlatformsDispatcher = RequestInit extends {dispatcher?: infer Taken} ? NonNullable<Taken> : unknown;

/** An undici dispatcher, by the types of undici 8 and of Node's own `fetch`. */
export type GatepassDispatcher = Dispatcher & PlatformsDispatcher;

/** What dispatchers are made of. */
export interface DispatcherSettings {
	readonly router: SwitchableRouter;
	readonly pools: UndiciPools;
	/** Sends what needs no connection of gatepass's own; absent: gatepass sends all. */
	readonly callers?: AnyDispatcher;
}

/** Make one. With a dispatcher of the caller's, closing it closes that one, too. */
export function createDispatcher({router, pools, callers: any}: DispatcherSettings): GatepassDispatcher {
	const callers = any as Dispatcher | undefined;
	// What authenticates by these rules already needs no other one above it.
	if (callers !== undefined && routers.get(callers) === router) return callers as GatepassDispatcher;
	const connections =
		callers === undefined ? new OwnConnections(pools) : new CallersConnections(callers, pools);
	const dispatcher = new (classOfDispatchers())(new Authentication(router, connections), callers ?? pools);
	routers.set(dispatcher, router);
	return dispatcher as GatepassDispatcher;
}

/** By whose rules a dispatcher of gatepass authenticates. */
const routers = new WeakMap<object, SwitchableRouter>();

type RouteWithRule = ExchangeSettings['route'];

/** What a caller says who says nothing. */
const nothingSaid: GatepassContext = {};
/** What any connection to the server has. */
const nothingWanted: Wanted = {identity: undefined, connectionOwner: undefined, proxy: undefined};

/** What is done with a dispatched request. */
class Authentication {
	readonly #router: SwitchableRouter;
	readonly #connections: Connections;

	constructor(router: SwitchableRouter, connections: Connections) {
		this.#router = router;
		this.#connections = connections;
	}

	dispatch(given: Options, handler: Handler): boolean {
		const {gatepass} = given;
		const setting = gatepass === undefined ? nothingSaid : checkSetting(gatepass, 'gatepass');
		const modern = modernHandler(handler);
		const options = optionsFor(given, isLegacy(modern));
		const target = targetOf(options, handler, this.#connections.origin);
		const router = setting === false || target === undefined ? this.#router.withoutRules : this.#router;
		const route = target && router.route(target, target.method);
		if (route === undefined) {
			const dispatcher = this.#connections.dispatcherFor(undefined, target, nothingWanted);
			return dispatcher.dispatch(
				options,
				setting === false ? modern : this.#watching(modern, undefined, target),
			);
		}
		if (route.rule === undefined) return this.#verify(route, target as Target, options, modern);
		const settings = {
			route: route as RouteWithRule,
			target: target as Target,
			options,
			handler: modern,
			connections: this.#connections,
			fresh: setting !== false && setting.fresh === true,
			tenant: setting === false ? undefined : setting.tenant,
			// undici's interceptors dispatch a request again by the same handler.
			sendings: route.events.audience['gatepass:leg'].hasSubscribers
				? (given[sendings] ?? sendingsOf(handler))
				: undefined,
		};
		const credential = shownAhead(settings);
		if (credential !== undefined) new LegAhead(settings, credential).begin();
		else new Exchange(settings).begin();
		return true;
	}

	/** Explains what goes wrong, and tells of a server that wants a credential for which there is no rule. */
	#watching(handler: Handler, route: Route | undefined, target: Target | undefined): Handler {
		if (target === undefined) return handler;
		return new ExplainingHandler(handler, route, target.url, status => {
			this.#router.tellUnmatched(target.url, status);
		});
	}

	/** Only the server is to be verified, by the trust store of its URL. */
	#verify(route: Route, target: Target, options: Options, handler: Handler): boolean {
		const watching = this.#watching(handler, route, target);
		const proxy = this.#connections.proxyFor(route, target, nothingWanted);
		if (proxy !== undefined && route.proxyRuleFor(target.url) !== undefined) {
			// It may want to be asked more than once.
			const connections = this.#connections;
			const plain = {...route, rule: withoutRule};
			const begun = {route: plain, target, options, handler: watching, connections};
			new Exchange({...begun, fresh: false, tenant: undefined, isReported: false}).begin();
			return true;
		}
		const dispatcher = this.#connections.dispatcherFor(route, target, nothingWanted);
		return dispatcher.dispatch(viaProxy(proxy, target, options), watching);
	}
}

/** In the place of a rule, for what is sent without one. */
const withoutRule: NonNullable<Route['rule']> = {
	info: {match: '', strategy: 'none', source: '', allowInsecure: true, folder: '', tenant: undefined},
	strategy: {
		async *authenticate() {
			yield;
		},
	},
	carriesCredential: false,
};

/** undici 7 leaves its own name for this dispatcher among the options, which undici 8 does not take. */
function optionsFor(given: Options, isLegacy: boolean): Options {
	if (!isLegacy && given.gatepass === undefined && given.dispatcher === undefined) return given;
	const {gatepass: _, dispatcher: __, ...options} = given;
	// What these ask for comes from a client that knows HTTP/1.1 only.
	return isLegacy ? ({...options, allowH2: false} as Options) : options;
}

/** What the first leg is to show, where that is known at once and nothing stands in between. */
function shownAhead(settings: ExchangeSettings): CredentialAtHand | undefined {
	const {route, target, fresh, tenant, connections} = settings;
	if (route.rule.strategy.atHand === undefined || !maySendAhead(settings)) return undefined;
	if (target.protocol === 'http:' && connections.proxyFor(route, target, nothingWanted) !== undefined) {
		return undefined;
	}
	return credentialAtHand(route.rule, {fresh, method: target.method, tenant});
}

/** RFC 9112 section 3.2.2: a proxy is asked for the whole URL. */
function viaProxy(proxy: ProxyServer | undefined, {origin, path}: Target, options: Options): Options {
	if (proxy === undefined) return options;
	const headers = toRecord(options.headers);
	if (proxy.authorization !== undefined) headers['proxy-authorization'] = proxy.authorization;
	return {...options, path: origin + path, query: undefined, headers} as unknown as Options;
}

type DispatcherClass = new (
	authentication: Authentication,
	below: Pick<Dispatcher, 'close' | 'destroy'> | UndiciPools,
) => Dispatcher;

let made: DispatcherClass | undefined;

/** Made when undici is loaded, whose class it extends. */
function classOfDispatchers(): DispatcherClass {
	made ??= class GatepassDispatcher extends loadUndici().Dispatcher {
		readonly #authentication: Authentication;
		readonly #below: UndiciPools;
		#isClosed = false;

		constructor(authentication: Authentication, below: Pick<Dispatcher, 'close' | 'destroy'> | UndiciPools) {
			super();
			this.#authentication = authentication;
			this.#below = below as UndiciPools;
		}

		/** fetch asks it: a mock is given the body as the caller gave it. */
		get isMockActive(): boolean {
			return (this.#below as {isMockActive?: boolean}).isMockActive === true;
		}

		override dispatch(options: Options, handler: Handler): boolean {
			if (typeof handler !== 'object' || handler === null) {
				throw new (loadUndici().errors.InvalidArgumentError)('handler must be an object');
			}
			try {
				if (typeof options !== 'object' || options === null) {
					throw new (loadUndici().errors.InvalidArgumentError)('opts must be an object.');
				}
				if (this.#isClosed) throw new (loadUndici().errors.ClientClosedError)();
				return this.#authentication.dispatch(options, handler);
			} catch (error) {
				modernHandler(handler).onResponseError?.(
					null as unknown as Dispatcher.DispatchController,
					error as Error,
				);
				return true;
			}
		}

		override close(callback?: () => void): Promise<void> {
			this.#isClosed = true;
			return settle(this.#below.close(), callback);
		}

		override destroy(error?: Error | null | (() => void), callback?: () => void): Promise<void> {
			this.#isClosed = true;
			if (typeof error === 'function') return this.destroy(null, error);
			return settle(this.#below.destroy(error ?? null), callback);
		}
	} as DispatcherClass;
	return made;
}

async function settle(done: Promise<void>, callback: (() => void) | undefined): Promise<void> {
	await done;
	callback?.();
}
