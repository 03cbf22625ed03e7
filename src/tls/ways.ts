/** The ways out of one gatepass: the configuration's, and those of rules that have one of their own. */
import type {HostRule} from '../host-rules/host-rule.ts';
import type {CallersAgent} from './callers-agents.ts';
import {PlainAgents} from './plain-agent.ts';
import type {DirectAgent} from './requests-apart.ts';
import {type CommonSettings, ProxyVariables, type Target, WayOut} from './way-out.ts';

export class Ways {
	readonly #settings: CommonSettings;
	readonly #common: WayOut;
	/** By what is set: rules that say the same share connections. */
	readonly #own = new Map<string, WayOut>();
	readonly #ofCallers = new WeakMap<CallersAgent, WayOut>();
	readonly #plain = new PlainAgents();

	/** @param setting of the configuration. */
	constructor(setting: string | undefined, settings: CommonSettings) {
		this.#settings = settings;
		this.#common = new WayOut({...settings, setting});
	}

	/** Without any proxy. */
	static direct(): Ways {
		return new Ways('none', {
			environment: {},
			openTls: () => Promise.reject(new Error('There is no proxy')),
		});
	}

	/** Whether the configuration itself says anything. */
	get isSet(): boolean {
		return this.#common.isSet;
	}

	/** The way of a rule; of the configuration where it has none, or where there is no rule. */
	for(rule?: Pick<HostRule, 'proxy' | 'source'>): WayOut {
		const {proxy: setting, source} = rule ?? {};
		if (setting === undefined) return this.#common;
		let way = this.#own.get(setting);
		if (way === undefined) {
			way = new WayOut({...this.#settings, setting, ...(source !== undefined && {source})});
			this.#own.set(setting, way);
		}
		return way;
	}

	/** A caller's agent may name proxies, as Node's take them in `proxyEnv`; a rule's setting comes first. */
	besides(callers: CallersAgent | undefined, way: WayOut): WayOut {
		if (callers?.proxies === undefined || way.isSet) return way;
		let own = this.#ofCallers.get(callers);
		if (own === undefined) {
			own = WayOut.by(new ProxyVariables(callers.proxies), this.#settings);
			this.#ofCallers.set(callers, own);
		}
		return own;
	}

	/** The agent for plain http to a URL. @param way absent: directly. */
	plainAgentFor(url: Target, way?: WayOut): DirectAgent {
		return this.#plain.for(way?.proxyFor(url), way, url);
	}

	/** Close all connections. */
	close(): void {
		this.#plain.close();
	}
}
