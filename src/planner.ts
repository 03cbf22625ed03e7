/** Decides what is done for each hop: its rule, the strategy of that rule, its trust set. */

import type {Events} from './events.ts';
import type {HopPlan, HopPlanner} from './hop.ts';
import type {HostRule} from './host-rules/host-rule.ts';
import type {Matcher} from './host-rules/matcher.ts';
import type {TlsAgents} from './identities/agents.ts';
import type {OwnedAgents} from './identities/owned-agents.ts';
import {type AuthStrategy, definitionOf, type RuleInfo, type StrategyClass} from './strategy.ts';
import type {TrustSet, TrustSets} from './trust/trust-sets.ts';

/** A rule with the strategy that serves it. */
export interface RuleInUse {
	readonly rule: HostRule;
	readonly info: RuleInfo;
	readonly carriesCredential: boolean;
	/** Built at its first use; always the same instance. */
	readonly strategy: AuthStrategy;
}

/** Builds the strategy of a rule. */
export type StrategyBuilder = (rule: HostRule, info: RuleInfo) => AuthStrategy;

/** Pair each rule with its strategy, which is built when it is first needed. */
export function useRules(
	rules: readonly HostRule[],
	strategyOf: (name: string) => StrategyClass | undefined,
	build: StrategyBuilder,
	folder: string,
): readonly RuleInUse[] {
	return rules.map(rule => {
		const {strategy: name, source, allowInsecure, patterns, tenant} = rule;
		const match = patterns.map(({text}) => text).join(', ');
		const info: RuleInfo = {match, strategy: name, source, allowInsecure, folder, tenant};
		let strategy: AuthStrategy | undefined;
		return {
			rule,
			info,
			carriesCredential: definitionOf(strategyOf(name))?.carriesCredential !== false,
			get strategy() {
				strategy ??= build(rule, info);
				return strategy;
			},
		};
	});
}

export class Planner implements HopPlanner {
	readonly #matcher: Matcher<HostRule>;
	readonly #rules: readonly RuleInUse[];
	readonly #trust: TrustSets;
	readonly #agents: TlsAgents;
	readonly #owned: OwnedAgents;
	readonly #events: Events;
	/** Plans by rule and trust set: there are few, and making one for each request would be waste. */
	readonly #plans = new Map<RuleInUse | undefined, Map<TrustSet | undefined, HopPlan>>();

	constructor(
		matcher: Matcher<HostRule>,
		rules: readonly RuleInUse[],
		trust: TrustSets,
		agents: TlsAgents,
		owned: OwnedAgents,
		events: Events,
	) {
		this.#matcher = matcher;
		this.#rules = rules;
		this.#trust = trust;
		this.#agents = agents;
		this.#owned = owned;
		this.#events = events;
	}

	/** The rule for a URL, in use. */
	ruleFor(url: URL, method: string): RuleInUse | undefined {
		const entry = this.#matcher.find(url, method);
		return entry === undefined ? undefined : this.#rules[entry.value.index];
	}

	/** The rules for a URL, whatever the method: each that is chosen for one. */
	rulesFor(url: URL): readonly RuleInUse[] {
		const methods = new Set(['GET', ...this.#rules.flatMap(({rule}) => rule.methods ?? [])]);
		const chosen = new Set([...methods].map(method => this.ruleFor(url, method)));
		return [...chosen].filter(rule => rule !== undefined);
	}

	plan(url: URL, method: string): HopPlan | undefined {
		const rule = this.ruleFor(url, method);
		const trust = this.#trust.find(url);
		if (rule === undefined && trust === undefined) return undefined;
		let byTrust = this.#plans.get(rule);
		if (byTrust === undefined) {
			byTrust = new Map();
			this.#plans.set(rule, byTrust);
		}
		let plan = byTrust.get(trust);
		if (plan === undefined) {
			plan = {
				rule,
				trust,
				events: this.#events,
				agentFor: identity => this.#agents.for(identity, trust),
				ownAgentFor: (owner, protocol, identity) => this.#owned.for(rule, owner, protocol, identity, trust),
			};
			byTrust.set(trust, plan);
		}
		return plan;
	}

	carriesCredential(url: URL, method: string): boolean {
		return this.ruleFor(url, method)?.carriesCredential ?? false;
	}
}
