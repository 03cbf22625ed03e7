/** A host rule, checked and ready: what the configuration says about one set of URLs. */
import type {Pattern} from './pattern.ts';

export interface HostRule {
	/** Its place in the configuration, counted from 0. */
	readonly index: number;
	readonly patterns: readonly Pattern[];
	/** Upper-case; absent: every method. */
	readonly methods?: readonly string[] | undefined;
	/** The name of its strategy. */
	readonly strategy: string;
	/** The options of its strategy, after validation. May hold secrets. */
	readonly options: unknown;
	/** Leave to send its credential over plain http. */
	readonly allowInsecure: boolean;
	/** Keeps its tokens apart from those of other tenants. */
	readonly tenant?: string | undefined;
	/** `file:line`, or `file`, or `hostRules[n]` where the configuration is an object. */
	readonly source: string;
	/** What there is to say about it, a sentence each: which of its options a bundle brought. */
	readonly notes?: readonly string[];
}
