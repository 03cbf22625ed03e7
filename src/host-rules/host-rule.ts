/** A host rule, checked and ready: what the configuration says about one set of URLs. */
import type {Pattern} from './pattern.ts';

/** Options with secrets from files that may be replaced while gatepass runs. */
export interface RotatingOptions {
	/** What each file held when the options were made; a secret. */
	readonly files: readonly {readonly file: string; readonly text: string}[];
	/** Bytes that a file may have at most. */
	readonly largest: number;
	/** What of a file counts. */
	readonly parse: (bytes: Buffer) => string;
	/** The options, made of what the files hold now; `undefined` where they would be wrong. */
	remake(): Promise<unknown>;
}

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
	/** Present where some of its options come from files. */
	readonly rotating?: RotatingOptions | undefined;
	/** Leave to send its credential over plain http. */
	readonly allowInsecure: boolean;
	/** Keeps its tokens apart from those of other tenants. */
	readonly tenant?: string | undefined;
	/** The way out, in the place of the configuration's. May hold a password. */
	readonly proxy?: string | undefined;
	/** Whether the server takes a connection for its first user's: then each credential has connections of its own. */
	readonly connectionBound?: boolean | undefined;
	/** `file:line`, or `file`, or `hostRules[n]` where the configuration is an object. */
	readonly source: string;
	/** What there is to say about it, a sentence each: which of its options a bundle brought. */
	readonly notes?: readonly string[];
}
