/** What the stages of a diagnosis have in common: what they are about, what they find out, how that is told. */
import type {X509Certificate} from 'node:crypto';
import type {IncomingHttpHeaders} from 'node:http';
import type {Diagnostic} from '../diagnostics/diagnostic.ts';
import type {Route} from '../hop/request.ts';
import type {BoundRule} from '../hop/router.ts';
import type {HostRule} from '../host-rules/host-rule.ts';
import type {Environment, Evidence, HttpClient, Identity} from '../strategy/index.ts';
import type {WayOut} from '../tls/way-out.ts';

/** The stages, in their order. */
export const stageNames = [
	'rule',
	'credential',
	'name',
	'way',
	'connection',
	'tls',
	'authorization server',
	'kerberos',
	'request',
] as const;
/** The name of a stage of a diagnosis. */
export type StageName = (typeof stageNames)[number];

/** How one stage of a request stands. Holds no secret. */
export interface Stage {
	readonly name: StageName;
	/** `skipped`: there is nothing to look at, or an earlier stage failed; its evidence says which. */
	readonly state: 'passed' | 'failed' | 'skipped';
	/** What is wrong, or needs a person's attention. */
	readonly diagnostics: readonly Diagnostic[];
	/** What was seen. */
	readonly evidence: Evidence;
}

/** What became of a request, stage by stage. Holds no secret. */
export interface Diagnosis {
	/** Without user information and query. */
	readonly url: string;
	/** Upper-case. */
	readonly method: string;
	/** All of them, in their order. Those after one that failed are skipped. */
	readonly stages: readonly Stage[];
	/** The diagnostics of all stages. */
	readonly diagnostics: readonly Diagnostic[];
}

/** What a request that is looked at is made of. */
export interface Subject {
	readonly url: URL;
	/** Upper-case. */
	readonly method: string;
	/** `undefined`: no rule matches. */
	readonly rule: BoundRule | undefined;
	/** `undefined`: neither a rule nor a trust store is for it. */
	readonly route: Route | undefined;
	readonly hostRules: readonly HostRule[];
	/** Whether a request without a rule is an error. */
	readonly strict: boolean;
	readonly environment: Environment;
	/** `undefined`: directly, whatever is set. */
	readonly way: WayOut | undefined;
	/** For questions to other servers. */
	readonly http: HttpClient;
	/** What earlier stages found out for later ones. */
	readonly known: Known;
}

/** What one stage finds out for the next ones. */
export interface Known {
	/** The client certificate that the rule shows. */
	identity?: Identity | undefined;
	/** The proxy that the request goes through. */
	proxy?: URL;
	/** What is wrong with the way out, should the connection fail. */
	wayDoubt?: Diagnostic;
	/** The server's certificate. */
	serverCertificate?: X509Certificate;
	/** The certificates that its TLS stage has seen the server accept, by their issuers' names; empty: it did not say. */
	acceptedAuthorities?: readonly string[];
}

/** What a stage found. It failed where a diagnostic is an error. */
export interface Found {
	readonly evidence?: Evidence;
	readonly diagnostics?: readonly Diagnostic[];
	/** Why there is nothing to look at. */
	readonly skipped?: string;
}

/** The answer that counts. */
export interface Answer {
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
	/** Its beginning; empty for HEAD. */
	readonly body: string;
	/** What was shown. A secret. */
	readonly authorization: string | undefined;
}

/** Looks at one stage. The signal ends with the caller's, or with the stage's time. */
export type Look = (subject: Subject, signal: AbortSignal) => Found | Promise<Found>;

/** Host and port of a URL, without the brackets of an IPv6 address. */
export function placeOf({hostname, port, protocol}: URL): {readonly host: string; readonly port: number} {
	return {
		host: hostname.replace(/^\[(.*)\]$/, '$1'),
		port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
	};
}
