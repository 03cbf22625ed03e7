/** A configuration, checked: what the rest of gatepass works with. */
import type {KeyObject} from 'node:crypto';
import type {HostRule} from '../host-rules/host-rule.ts';
import type {Pattern} from '../host-rules/pattern.ts';
import type {Environment} from '../services.ts';

/** CA certificates for some servers. */
export interface TrustEntry {
	readonly patterns: readonly Pattern[];
	/** Absolute paths of PEM files. */
	readonly files: readonly string[];
	/** Whether the system's roots are left out. */
	readonly only: boolean;
	/** `file:line`, or `file`, or `trust[n]`. */
	readonly source: string;
}

export interface Configuration {
	/** Absolute; absent where the configuration was handed over as an object. */
	readonly file?: string;
	/** Where relative paths start: the file's folder, or else the working directory. */
	readonly folder: string;
	readonly environment: Environment;
	readonly cache: {
		/** With its path made absolute. May hold a password. */
		readonly url: string;
		/** The first encrypts, all decrypt; none: tokens are kept as they are. */
		readonly keys: readonly KeyObject[];
	};
	readonly tokenRequest: {
		/** Milliseconds for a token request with all its retries. */
		readonly timeout: number;
		readonly retries: number;
	};
	readonly trust: readonly TrustEntry[];
	readonly hostRules: readonly HostRule[];
}
