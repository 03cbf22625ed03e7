/** The object that users hold, over the services of one configuration. Loaded when there is one, and with it what sends requests. */
import type {Got} from 'got';
import type {Certificates} from './certificates/lazy.ts';
import type {LoadedConfiguration} from './config/load.ts';
import type {Composition} from './container.ts';
import type {DiagnoseOptions} from './diagnose/diagnose.ts';
import type {Diagnosis} from './diagnose/stage.ts';
import type {Authorization, AuthorizeOptions, Gatepass} from './gatepass-interface.ts';
import type {Router} from './hop/request.ts';
import type {BoundRule} from './hop/router.ts';
import {type Explanation, explain} from './host-rules/explain.ts';
import {type RuleStatus, statusOfRule} from './rule-status.ts';
import {beginFlow, type Flow, type FlowOptions, prepareLeg} from './transports/flow.ts';
import {extendGot} from './transports/got/extend.ts';
import {loadGot} from './transports/got/load.ts';
import {checkSetting} from './transports/request-setting.ts';
import {
	type AnyDispatcher,
	createDispatcher,
	type GatepassDispatcher,
} from './transports/undici/dispatcher.ts';
import {createFetch, type GatepassFetch} from './transports/undici/fetch.ts';
import {untilAborted} from './transports/until-aborted.ts';

/** How one is made. */
export interface ConfiguredGatepassSettings {
	/** The instance that `gatepass.got` extends. Default: got's own. */
	readonly got?: Got | undefined;
	/** For `explain` alone. */
	readonly withoutSecrets: boolean;
}

export class ConfiguredGatepass implements Gatepass {
	readonly fetch: GatepassFetch;
	readonly #loaded: LoadedConfiguration;
	readonly #composition: Composition;
	readonly #settings: ConfiguredGatepassSettings;
	#got: Got | undefined;
	#dispatcher: GatepassDispatcher | undefined;
	#closing: Promise<void> | undefined;

	constructor(loaded: LoadedConfiguration, composition: Composition, settings: ConfiguredGatepassSettings) {
		this.#loaded = loaded;
		this.#composition = composition;
		this.#settings = settings;
		this.fetch = createFetch(callers => (callers === undefined ? this.dispatcher : this.intercept(callers)));
	}

	get got(): Got {
		this.#got ??= this.extend(this.#settings.got ?? loadGot());
		return this.#got;
	}

	/** Also without its object: it is handed on as a function. */
	readonly extend = (got: Got): Got => extendGot(got, this.#composition.router);

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
		const router: Router =
			setting === false ? this.#composition.router.withoutRules : this.#composition.router;
		return beginFlow(router.route(target, method), target, method, {...options, ...(setting || {})});
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
		if (!this.#settings.withoutSecrets) return rule?.strategy.explain?.() ?? [];
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
