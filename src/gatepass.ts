/** `createGatepass`, and the object that users hold. */
import type {Got} from 'got';
import type {Keyv, KeyvStoreAdapter} from 'keyv';
import type {DependencyContainer} from 'tsyringe';
import type {Certificates} from './certificates/lazy.ts';
import type {Configuration} from './config/configuration.ts';
import type {LoadedConfiguration} from './config/load.ts';
import type {ConfigurationInput} from './config/schema.ts';
import type {Composition} from './container.ts';
import type {DiagnoseOptions} from './diagnose/diagnose.ts';
import type {Diagnosis} from './diagnose/stage.ts';
import type {Router} from './hop/request.ts';
import type {BoundRule} from './hop/router.ts';
import {type Explanation, explain} from './host-rules/explain.ts';
import {type EventListener, Events} from './observability/events.ts';
import type {Logger} from './observability/logger.ts';
import {type RuleStatus, statusOfRule} from './rule-status.ts';
import type {StrategyClass} from './strategy/index.ts';
import type {ProxyServer, WayOut} from './tls/way-out.ts';
import {beginFlow, type Flow, type FlowOptions, prepareLeg} from './transports/flow.ts';
import {loadGot} from './transports/got/load.ts';
import {checkSetting} from './transports/request-setting.ts';
import type {TlsMaterial} from './transports/tls-material.ts';
import {
	type AnyDispatcher,
	createDispatcher,
	type GatepassDispatcher,
} from './transports/undici/dispatcher.ts';
import {createFetch, type GatepassFetch} from './transports/undici/fetch.ts';
import {untilAborted} from './transports/until-aborted.ts';

/** What `createGatepass` takes. All of it is optional. */
export interface GatepassSettings {
	/** A file, or the configuration itself. Default: the one found from `cwd` upwards. */
	readonly config?: string | ConfigurationInput;
	/** Where the search starts, and relative paths where there is no file. Default: `process.cwd()`. */
	readonly cwd?: string;
	/** Default: `process.env`. A `.env` beside the configuration adds to it and overrides nothing. */
	readonly env?: Readonly<Record<string, string | undefined>>;
	/** Strategies besides the built-in ones. */
	readonly strategies?: readonly StrategyClass[];
	/** The instance that `gatepass.got` extends. Default: got's own. */
	readonly got?: Got;
	/** A tsyringe container: services that are registered there take the place of gatepass's own. */
	readonly container?: DependencyContainer;
	/**
	 * Where tokens are kept, instead of the configuration's `cache.url`: a keyv adapter or instance. It is the caller's
	 * to close. As others may read it, it takes a `cache.encryptionKey`, or `cache.encryption: off`.
	 */
	readonly cache?: KeyvStoreAdapter | Keyv;
	/** Gets what gatepass tells about its work, as pino's loggers take it. No secret is in it. Default: none. */
	readonly logger?: Logger;
	/** Record spans and metrics through the optional peer `@opentelemetry/api`. Default: `false`. */
	readonly telemetry?: boolean;
}

/** What to add to a request that another client sends. */
export interface Authorization {
	/** By lower-case name. May hold a secret. */
	readonly headers: Record<string, string>;
	/**
	 * Options to spread into `https.request`, or to make an agent of, after any of one's own: the client certificate, and
	 * all that verifies the server. For https, where there is a rule or a trust store. May hold a secret.
	 */
	readonly tls?: TlsMaterial;
}

/** What `authorize` takes besides the URL. */
export interface AuthorizeOptions {
	/** Default: `GET`. */
	readonly method?: string;
	/** Pass the token cache over, once. */
	readonly fresh?: boolean;
	/** Whose tokens to use. Default: the rule's `tenant`. */
	readonly tenant?: string;
	/** What will be sent, for a strategy that signs it: text, bytes, or what can be read more than once. */
	readonly body?: unknown;
	/** The headers that will be sent, for a strategy that signs them; the result then holds them, too. */
	readonly headers?: Readonly<Record<string, string>>;
	/** Rejects with its reason as soon as it is aborted. */
	readonly signal?: AbortSignal;
}

/** Authenticates requests by the host rules of one configuration. */
export interface Gatepass extends AsyncDisposable {
	/**
	 * A got instance whose requests are authenticated, each hop by its own rule. A request rejects with a
	 * {@link GatepassError} where authentication is at fault, and with got's own errors otherwise.
	 */
	readonly got: Got;
	/** The same on another got instance. */
	extend(got: Got): Got;
	/**
	 * The platform's `fetch`, authenticated, each hop by its own rule. Rejects with a {@link GatepassError} where
	 * authentication is at fault, and with what `fetch` rejects with otherwise.
	 *
	 * @example
	 * const response = await gatepass.fetch(url, {gatepass: {fresh: true}});
	 */
	readonly fetch: GatepassFetch;
	/**
	 * An undici dispatcher, for `undici.request`, `stream` and `pipeline`, and for `fetch({dispatcher})`: undici's from
	 * version 7 on, and Node's own. The options of a request take `gatepass` ({@link GatepassContext}). Loads undici.
	 *
	 * @example
	 * const {body} = await request(url, {dispatcher: gatepass.dispatcher});
	 */
	readonly dispatcher: GatepassDispatcher;
	/**
	 * The same over a dispatcher of the caller's: an Agent, a ProxyAgent, a MockAgent. Where a hop needs connections of
	 * its own, for an identity, a trust store or an owner, those of gatepass take its place.
	 *
	 * @throws {TypeError} for what is no dispatcher, or does not send to the origin that it is asked for.
	 */
	intercept(dispatcher: AnyDispatcher): GatepassDispatcher;
	/**
	 * A conversation for a request that any other client sends: what its first leg is to have, and what becomes of each
	 * answer.
	 *
	 * @throws {GatepassError} what the strategy throws where it has no credential.
	 * @throws {TypeError} where `url` is no absolute URL.
	 */
	flow(url: string | URL, options?: FlowOptions): Promise<Flow>;
	/**
	 * Which rule a request would use, and why. Touches no network.
	 *
	 * @param options `method`: default `GET`.
	 * @throws {TypeError} where `url` is no absolute URL.
	 */
	explain(url: string | URL, options?: {method?: string}): Explanation;
	/**
	 * What to add to a request that another client sends; for schemes of several legs, the first one.
	 * Nothing for a URL without a rule. What is returned is meant for this very URL and no other.
	 *
	 * @param options `method`: default `GET`; `fresh`: pass the token cache over, once.
	 * @throws {GatepassError} what the strategy throws where it has no credential.
	 * @throws {TypeError} where `url` is no absolute URL.
	 */
	authorize(url: string | URL, options?: AuthorizeOptions): Promise<Authorization>;
	/** How each host rule stands, in the order of the configuration. Asks no server, unless told to `verify`: authorization servers (RFC 7662), KDCs. */
	status(settings?: {verify?: boolean; signal?: AbortSignal}): Promise<RuleStatus[]>;
	/**
	 * Drop, and where possible revoke (RFC 7009), the tokens kept for the rule of `url`; for all rules without `url`.
	 *
	 * @throws {GatepassError} what a strategy throws where it cannot tell which token is meant, or revoking fails.
	 */
	forget(url?: string | URL, options?: {signal?: AbortSignal}): Promise<void>;
	/**
	 * Walk one request stage by stage, from its rule to its answer, and stop at the first that is broken. Asks servers:
	 * for the name, the credential, and what the request itself asks for, as `method`; of a GET the answer's body is not
	 * read. What is wrong is told, not thrown.
	 *
	 * @throws {TypeError} where `url` is no absolute URL of http or https.
	 */
	diagnose(url: string | URL, options?: DiagnoseOptions): Promise<Diagnosis>;
	/** Certificates that renew themselves, as the configuration's `certificates` says. */
	readonly certificates: Certificates;
	/** End renewals in the background and connections, and let go of the token store. A request after it is a {@link ClosedError}. */
	close(): Promise<void>;
}

/**
 * Read a configuration and put together what it asks for.
 *
 * @throws {ConfigurationError} that lists every mistake in the configuration.
 * @example
 * const gatepass = await createGatepass();
 * const runs = await gatepass.got('https://cmsoms.cern.ch/agg/api/v1/runs').json();
 */
export async function createGatepass(settings: GatepassSettings = {}): Promise<Gatepass> {
	return (await assemble(settings, false)).gatepass;
}

/** The same for `explain` alone: variables and files of secrets may be missing, so that no request can be made. */
export async function createForExplaining(
	settings: GatepassSettings = {},
): Promise<Pick<Gatepass, 'explain' | 'close'>> {
	return (await assemble(settings, true)).gatepass;
}

/** A gatepass with what the local proxy needs to know besides: the configuration, and which rule is chosen. */
export interface ServingGatepass {
	readonly gatepass: Gatepass;
	readonly configuration: Configuration;
	/** The rule for a URL; `undefined`: the request is sent as it is. */
	ruleFor(url: URL, method: string): BoundRule | undefined;
	/** The way out to a URL, for what is sent as it is. */
	wayFor(url: URL): WayOut;
	/** The proxies that anything may be sent through. */
	readonly proxies: readonly ProxyServer[];
}

/** The same for the local proxy. `listener` gets every event. */
export async function createForServing(
	settings: GatepassSettings,
	listener: EventListener,
): Promise<ServingGatepass> {
	const {gatepass, loaded, composition} = await assemble(settings, false, [listener], 'environment');
	const {router, ways, rules} = composition;
	return {
		gatepass,
		configuration: loaded.configuration,
		ruleFor: (url, method) => router.ruleFor(url, method),
		wayFor: url => ways.for(router.ruleFor(url, 'CONNECT')?.rule),
		proxies: [ways.for(), ...rules.map(({rule}) => ways.for(rule))].flatMap(({proxies}) => proxies),
	};
}

interface Assembled {
	readonly gatepass: Gatepass;
	readonly loaded: LoadedConfiguration;
	readonly composition: Composition;
}

async function assemble(
	settings: GatepassSettings,
	withoutSecrets: boolean,
	listeners: readonly EventListener[] = [],
	/** Where the configuration says nothing of `proxy`. */
	usualWay?: 'environment',
): Promise<Assembled> {
	// Loaded here, so that importing gatepass costs little and a strategy author's tests need no got.
	const [{loadConfiguration}, {compose, builtInStrategies}, {extendGot}] = await Promise.all([
		import('./config/load.ts'),
		import('./container.ts'),
		import('./transports/got/extend.ts'),
	]);
	const loaded = await loadConfiguration({
		config: settings.config,
		cwd: settings.cwd ?? process.cwd(),
		env: settings.env ?? process.env,
		strategies: settings.strategies ?? [],
		hasOwnStore: settings.cache !== undefined,
		builtIn: builtInStrategies,
		withoutSecrets,
	});
	const {proxy = usualWay} = loaded.configuration;
	const composition = compose({...loaded.configuration, proxy}, loaded.strategyOf, {
		parent: settings.container,
		store: settings.cache,
		events: new Events([...(await listenersFor(settings)), ...listeners]),
	});
	if (!withoutSecrets) await composition.ready();
	const gatepass = new ConfiguredGatepass(
		loaded,
		composition,
		() => settings.got ?? loadGot(),
		got => extendGot(got, composition.router),
		withoutSecrets,
	);
	return {gatepass, loaded, composition};
}

async function listenersFor({logger, telemetry}: GatepassSettings): Promise<EventListener[]> {
	const listeners: EventListener[] = [];
	if (logger !== undefined) listeners.push((await import('./observability/logger.ts')).logTo(logger));
	if (telemetry === true)
		listeners.push(await (await import('./observability/telemetry.ts')).recordTelemetry());
	return listeners;
}

class ConfiguredGatepass implements Gatepass {
	readonly extend: (got: Got) => Got;
	readonly fetch: GatepassFetch;
	readonly #loaded: LoadedConfiguration;
	readonly #composition: Composition;
	readonly #withoutSecrets: boolean;
	readonly #base: () => Got;
	#got: Got | undefined;
	#dispatcher: GatepassDispatcher | undefined;
	#closing: Promise<void> | undefined;

	constructor(
		loaded: LoadedConfiguration,
		composition: Composition,
		base: () => Got,
		extend: (got: Got) => Got,
		withoutSecrets: boolean,
	) {
		this.#withoutSecrets = withoutSecrets;
		this.#loaded = loaded;
		this.#composition = composition;
		this.extend = extend;
		this.#base = base;
		this.fetch = createFetch(callers => (callers === undefined ? this.dispatcher : this.intercept(callers)));
	}

	get got(): Got {
		this.#got ??= this.extend(this.#base());
		return this.#got;
	}

	get dispatcher(): GatepassDispatcher {
		this.#dispatcher ??= createDispatcher(this.#composition);
		return this.#dispatcher;
	}

	intercept(callers: AnyDispatcher): GatepassDispatcher {
		return createDispatcher({...this.#composition, callers});
	}

	async flow(url: string | URL, options: FlowOptions = {}): Promise<Flow> {
		const target = parseUrl(url);
		const method = (options.method ?? 'GET').toUpperCase();
		const setting = checkSetting(options.gatepass, 'options.gatepass');
		const {router} = this.#composition;
		const chosen: Router = setting === false ? router.withoutRules : router;
		return beginFlow(chosen.route(target, method), target, method, {
			...options,
			...(setting || {}),
			...(setting !== false && {tellUnmatched: status => router.tellUnmatched(target, status)}),
		});
	}

	get certificates(): Certificates {
		return this.#composition.certificates;
	}

	explain(url: string | URL, {method = 'GET'}: {method?: string} = {}): Explanation {
		const {matcher, router, ways} = this.#composition;
		const target = parseUrl(url);
		const verb = method.toUpperCase();
		const inUse = router.ruleFor(target, verb);
		const trust = router.trustFor(target)?.source;
		const proxy = router.staysHere(inUse, target) ? undefined : ways.for(inUse?.rule).proxyFor(target);
		const notes = [
			...(inUse?.rule.notes ?? []),
			...this.#explainStrategy(inUse),
			...(trust?.startsWith('bundle:')
				? [`The CA certificates of ${trust} are trusted besides the system's`]
				: []),
			...(proxy === undefined ? [] : [`Goes through the proxy ${proxy.url.origin} (${proxy.source})`]),
		];
		const explanation = explain(this.#loaded.configuration.hostRules, matcher, target, verb);
		const isRefused = inUse === undefined && this.#loaded.configuration.strict;
		return {...explanation, ...(isRefused && {refused: true}), ...(notes.length > 0 && {notes})};
	}

	/** What has no secret may be no strategy that could be built. */
	#explainStrategy(rule: BoundRule | undefined): readonly string[] {
		if (!this.#withoutSecrets) return rule?.strategy.explain?.() ?? [];
		try {
			return rule?.strategy.explain?.() ?? [];
		} catch {
			return [];
		}
	}

	async authorize(url: string | URL, options: AuthorizeOptions = {}): Promise<Authorization> {
		return untilAborted(() => this.#authorize(url, options), options.signal);
	}

	async #authorize(
		url: string | URL,
		{method = 'GET', ...options}: AuthorizeOptions,
	): Promise<Authorization> {
		const target = parseUrl(url);
		const verb = method.toUpperCase();
		const {headers, tls} = await prepareLeg(
			this.#composition.router.route(target, verb),
			target,
			verb,
			options,
		);
		return {headers, ...(tls !== undefined && {tls})};
	}

	async status({signal, ...settings}: {verify?: boolean; signal?: AbortSignal} = {}): Promise<RuleStatus[]> {
		this.#composition.router.checkOpen();
		const {rules} = this.#composition;
		return untilAborted(() => Promise.all(rules.map(rule => statusOfRule(rule, settings))), signal);
	}

	async forget(url?: string | URL, {signal}: {signal?: AbortSignal} = {}): Promise<void> {
		return untilAborted(() => this.#forget(url), signal);
	}

	async #forget(url?: string | URL): Promise<void> {
		const {rules, router} = this.#composition;
		router.checkOpen();
		const chosen = url === undefined ? rules : router.rulesFor(parseUrl(url));
		// A rule that fails, for want of a variable for example, keeps no other from forgetting.
		const results = await Promise.allSettled(chosen.map(async rule => rule.strategy.forget?.()));
		for (const result of results) if (result.status === 'rejected') throw result.reason;
	}

	async diagnose(url: string | URL, {method = 'GET', ...options}: DiagnoseOptions = {}): Promise<Diagnosis> {
		const target = parseUrl(url);
		if (!/^https?:$/.test(target.protocol))
			throw new TypeError('Only URLs of http and https can be looked at');
		options.signal?.throwIfAborted();
		const {router, http, ways} = this.#composition;
		router.checkOpen();
		const {hostRules, strict, environment} = this.#loaded.configuration;
		const verb = method.toUpperCase();
		const rule = router.ruleFor(target, verb);
		// That there is none is an error for requests alone.
		const route = rule === undefined && strict ? undefined : router.route(target, verb);
		const {diagnose} = await import('./diagnose/diagnose.ts');
		const way = router.staysHere(rule, target) ? undefined : ways.for(rule?.rule);
		const of = {rule, route, hostRules, strict, environment, way, http};
		const subject = {url: target, method: verb, ...of, known: {}};
		return diagnose(subject, options);
	}

	async close(): Promise<void> {
		this.#closing ??= this.#composition.close();
		await this.#closing;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.close();
	}
}

function parseUrl(url: string | URL): URL {
	const parsed = URL.parse(String(url));
	if (parsed === null)
		throw new TypeError('This is no URL. Give an absolute one, such as https://api.example.org/');
	return parsed;
}
