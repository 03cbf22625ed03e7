/** The object that users hold, over the services of one configuration. Loaded when there is one, and with it what sends requests. */
import type {Got} from 'got';
import type {Certificates} from './certificates/lazy.ts';
import type {LoadedConfiguration} from './config/load.ts';
import type {Composition} from './container.ts';
import type {DiagnoseOptions} from './diagnose/diagnose.ts';
import type {Diagnosis} from './diagnose/stage.ts';
import {explainRequest, parseUrl} from './explain-request.ts';
import type {Authorization, AuthorizeOptions, Gatepass} from './gatepass-interface.ts';
import type {Router} from './hop/request.ts';
import type {Explanation} from './host-rules/explain.ts';
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

export class ConfiguredGatepass implements Gatepass {
	readonly fetch: GatepassFetch;
	readonly #loaded: LoadedConfiguration;
	readonly #composition: Composition;
	readonly #base: Got | undefined;
	#dispatcher: GatepassDispatcher | undefined;
	#closing: Promise<void> | undefined;

	/** @param base the instance that `gatepass.got` extends; default: got's own. */
	constructor(loaded: LoadedConfiguration, composition: Composition, base?: Got) {
		this.#loaded = loaded;
		this.#composition = composition;
		this.#base = base;
		this.fetch = createFetch(
			callers => (callers === undefined ? this.dispatcher : this.intercept(callers)),
			() => composition.events.audience['gatepass:leg'].hasSubscribers,
		);
	}

	get got(): Got {
		const got = this.extend(this.#base ?? loadGot());
		// From now on a property of its own: it is always the same.
		Object.defineProperty(this, 'got', {value: got, configurable: true});
		return got;
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

	explain(url: string | URL, options?: {method?: string}): Explanation {
		return explainRequest(this.#composition, this.#loaded.configuration, url, options);
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
