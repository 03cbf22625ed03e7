/** A configuration, checked: what the rest of gatepass works with. */
import type {KeyObject} from 'node:crypto';
import type {Bundle} from '../bundles/bundle.ts';
import type {HostRule} from '../host-rules/host-rule.ts';
import type {Pattern} from '../host-rules/pattern.ts';
import type {Environment} from '../strategy/services.ts';
import type {CertificateSettings} from './certificate-settings.ts';
import type {ServeSettings} from './serve-settings.ts';

/** Stands among the files of a trust entry for the operating system's store of CA certificates. */
export const systemStore = 'system';

/** A CA certificate in a hashed CA folder, as OpenSSL looks for it: `5168735f.0`. */
export const caFileName = /^[\da-f]{8}\.\d+$/i;

/** CA certificates for some servers. */
export interface TrustEntry {
	readonly patterns: readonly Pattern[];
	/** Absolute paths of PEM files and of hashed CA folders, or {@link systemStore}. */
	readonly files: readonly string[];
	/** Whether the system's roots and Node's are left out. */
	readonly only: boolean;
	/** Whether a revocation list is checked where there is one, or has to be there. Default: `check`. */
	readonly crl?: 'check' | 'require';
	/** The address of a SPIFFE Workload API, whose bundles are the CA certificates; there are no files then. */
	readonly workloadApi?: string;
	/** Who the servers may be, in place of their host's name: SPIFFE IDs, and trust domains for all in them. */
	readonly spiffeIds?: readonly string[];
	/** `file:line`, or `file`, or `trust[n]`; `bundle:cern` for an entry of a bundle. */
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
	/** What is theirs is in `trust` and `hostRules` already. */
	readonly bundles: readonly Bundle[];
	readonly trust: readonly TrustEntry[];
	readonly certificates: CertificateSettings;
	/** The way out: a URL, `environment`, `none`; absent: the environment, where Node is told to heed it. May hold a password. */
	readonly proxy?: string | undefined;
	readonly serve: ServeSettings;
	/** Whether a request without a rule is an error. */
	readonly strict: boolean;
	readonly hostRules: readonly HostRule[];
}
