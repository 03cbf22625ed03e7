/**
 * The services that a strategy can ask for in its constructor: `@inject(TokenCache) tokens: TokenCache`.
 * Each name here is both the type and the token to inject; what stands behind it is chosen in `container.ts`.
 */

import type {InjectionToken} from 'tsyringe';
import type {Diagnostic} from '../diagnostics/diagnostic.ts';
import type {WorkloadApi} from '../spiffe/workload-api.ts';
import type {CertificateKind} from '../x509/kind.ts';

export type {CertificateKind} from '../x509/kind.ts';

/** An issued token. */
export interface Token {
	/** The token itself: a secret. */
	readonly value: string;
	/** How it is shown: `Bearer` (RFC 6750) or `DPoP` (RFC 9449). */
	readonly type: 'Bearer' | 'DPoP';
	/** When it ends, in milliseconds since 1970; absent where the issuer does not say. */
	readonly expiresAt?: number;
	/**
	 * What the issuer's clock said when it issued the token, in milliseconds since 1970; `expiresAt` is by that clock
	 * too. Absent: the issuer's clock is taken to be this machine's.
	 */
	readonly issuedAt?: number;
}

/**
 * Tokens, in memory and in the store of the configuration.
 *
 * - A valid token is served from memory, without touching the store, when it can be.
 * - While one call for a key issues a token, all other calls for that key wait for the same one.
 * - A token is never served past its `expiresAt`. Ahead of that it is renewed in the background;
 *   a renewal that fails leaves the valid token in use.
 * - A store that fails never fails a call: it goes on from memory.
 * - A failed `issue` is never remembered: the next call tries again.
 */
export interface TokenCache {
	/**
	 * The token for `key`, from the cache or from `issue`.
	 *
	 * @param key tells apart everything that makes a token different; see {@link tokenKey}.
	 * @param issue fetches a new token; its signal ends when the cache is closed.
	 * @param options `fresh`: pass the cache over, once, and keep the new token.
	 * @throws what `issue` throws.
	 */
	get(
		key: string,
		issue: (signal: AbortSignal) => Promise<Token>,
		options?: {fresh?: boolean},
	): Promise<Token>;
	/**
	 * The token that `get` would give from memory, where there is nothing to do besides: it is not due for renewal, and
	 * nobody listens. For {@link (AuthStrategy:interface).atHand}.
	 */
	atHand?(key: string): Token | undefined;
	/** The valid token kept for `key`, if there is one; never issues. */
	peek(key: string): Promise<Token | undefined>;
	/**
	 * Drop `token`, but only if it is still the one kept for `key`: a newer one stays. Where a server refuses one token
	 * after the other, the last one is kept for a while, longer each time: the next would most likely be refused, too.
	 */
	invalidate(key: string, token: Token): Promise<void>;
	/**
	 * Drop whatever is kept for `key`, and call off what is under way for it: who waits for a token gets one that is
	 * fetched after this. What the issuer said about when to come back is forgotten, too.
	 *
	 * @throws {TokenCacheError} where the store did not do it, so that the token may still be there.
	 */
	delete(key: string): Promise<void>;
	/** Stop renewals and let go of the store. Calls after that reject. */
	close(): Promise<void>;
}
/** Inject this to get the {@link (TokenCache:interface)}. */
export const TokenCache: InjectionToken<TokenCache> = Symbol.for('gatepass.TokenCache');

/**
 * HTTP for a strategy's own requests (token endpoints and such): the trust stores of the configuration hold,
 * a redirect is not followed, there is a time limit (10,000 ms unless configured) and a size limit,
 * and a request that fails on the way is tried again.
 */
export interface HttpClient {
	/** As the platform's `fetch`. Rejects with an error that holds neither headers nor body of the request. */
	fetch(url: string | URL, init?: RequestInit & {identity?: Identity}): Promise<Response>;
}
/** Inject this to get the {@link (HttpClient:interface)}. */
export const HttpClient: InjectionToken<HttpClient> = Symbol.for('gatepass.HttpClient');

/** Where a client certificate is; all paths relative to the configuration's folder. Nothing named: it is searched for. */
export interface IdentitySource {
	/** PEM or DER file of the certificate; in PEM with its chain, where there is one. */
	readonly certificate?: string | undefined;
	/** PEM or DER file of the private key: PKCS#8, PKCS#1 or SEC1. */
	readonly key?: string | undefined;
	/** A PKCS#12 file (`.p12`, `.pfx`), which holds both. */
	readonly pkcs12?: string | undefined;
	/** A proxy file (RFC 3820): a proxy certificate, its key and its chain in one PEM file. */
	readonly proxy?: string | undefined;
	/** What the private key or the PKCS#12 file is encrypted with. A secret. */
	readonly passphrase?: string | undefined;
	/** A folder that holds `usercert.pem` and `userkey.pem`, or `usercred.p12`. */
	readonly directory?: string | undefined;
	/** The name of a certificate that gatepass or certbot renews, in the folder of the configuration's `certificates`. */
	readonly lineage?: string | undefined;
	/** Take no certificate but one of a robot. Default: `false`. */
	readonly requireRobot?: boolean | undefined;
	/** Which of several identities in the files: its alias (PKCS#12's `friendlyName`). Default: the latest of those that are valid. */
	readonly alias?: string | undefined;
	/** Likewise, the SHA-256 or SHA-1 of its certificate in hexadecimal digits. */
	readonly thumbprint?: string | undefined;
}

/** A client certificate that is in no file. */
export interface IdentityText {
	/** PEM, with the chain where there is one. */
	readonly certificate: string;
	/** PEM, not encrypted. A secret. */
	readonly key: string;
	/** Where it comes from, for messages: `the output of PROGRAM`. */
	readonly origin: string;
}

/** A client certificate with its private key and chain. Printing it shows no key. */
export interface Identity {
	/** The subject, as RFC 2253 writes it: `CN=alice,OU=Users,DC=example`; where it is empty, what it is for: `DNS:host`. */
	readonly subject: string;
	/** Who issued it, written likewise. */
	readonly issuer: string;
	/** What it is for; `undefined` where the certificate does not tell. */
	readonly kind: CertificateKind | undefined;
	/** SHA-256 of the certificate, in hexadecimal digits. */
	readonly thumbprint: string;
	/** Milliseconds since 1970. */
	readonly notBefore: number;
	/** Milliseconds since 1970. */
	readonly notAfter: number;
	/** What needs a person's attention, and what to do. */
	readonly warnings?: readonly Diagnostic[];
	/** The files it was read from; both are the same file for a proxy and for PKCS#12. */
	readonly files: {readonly certificate: string; readonly key: string};
	/** The material for `tls.createSecureContext`, in PEM. A secret. */
	material(): {cert: string; key: string};
}

/** Client certificates from files. */
export interface Identities {
	/**
	 * The identity that `source` names, or where it names none, the one found on this machine.
	 * The same source gives the same object, so that connections are shared, until its files are replaced: they are
	 * looked at once a second at most. Ask again for each request.
	 *
	 * @throws {CredentialUnavailableError} where there is none.
	 * @throws {CertificateError} where there is one that cannot be used.
	 */
	load(source: IdentitySource): Promise<Identity>;
	/** The same where it is known and its files need not be looked at now. For {@link (AuthStrategy:interface).atHand}. */
	atHand?(source: IdentitySource): Identity | undefined;
	/** Where the identity is, and why each place before was passed over: a sentence each. Asks no server. */
	explain?(source: IdentitySource): readonly string[];
	/**
	 * An identity that is in no file, checked like any other. It is the caller's to renew, and to {@link release}.
	 *
	 * @throws {CertificateError} where it cannot be used.
	 */
	adopt?(pem: IdentityText): Promise<Identity>;
	/** Another has taken the place of an adopted one: its connections end when their requests are through. */
	release?(identity: Identity): void;
}
/** Inject this to get the {@link (Identities:interface)}. */
export const Identities: InjectionToken<Identities> = Symbol.for('gatepass.Identities');

/** Says what a key or a PKCS#12 file is encrypted with where no option does. The command line asks its user. */
export interface Passphrases {
	/** The passphrase of `file`, a secret; `undefined`: there is none to be had. */
	find(file: string): Promise<string | undefined>;
}
/** Inject this to get the {@link (Passphrases:interface)}. Nothing stands behind it unless it is registered. */
export const Passphrases: InjectionToken<Passphrases> = Symbol.for('gatepass.Passphrases');

/** The variables that strategies may read: the environment, and what a `.env` beside the configuration adds. */
export type Environment = Readonly<Record<string, string | undefined>>;
/** Inject this to get the {@link (Environment:type)}. */
export const Environment: InjectionToken<Environment> = Symbol.for('gatepass.Environment');

/** What a strategy has to tell the log besides its errors. */
export interface Notices {
	/** A sentence or more, without any secret. Published as the event `gatepass:strategy:notice`. */
	tell(notice: string): void;
}
/** Inject this to get the {@link (Notices:interface)} of the rule. */
export const Notices: InjectionToken<Notices> = Symbol.for('gatepass.Notices');

/** The host rule that a strategy serves. */
export interface RuleInfo {
	/** Its patterns, as written; several are joined by a comma and a space. */
	readonly match: string;
	/** The name of its strategy. */
	readonly strategy: string;
	/** `file:line`, or `file`, or `hostRules[n]` where the configuration is an object. */
	readonly source: string;
	/** Whether the rule gives leave to send its credential over plain http. */
	readonly allowInsecure: boolean;
	/** Keeps the rule's tokens apart from those of other tenants; a request may name another. */
	readonly tenant?: string | undefined;
	/** Where relative paths in the rule's options start: the configuration's folder. */
	readonly folder: string;
}
/** Inject this to get the {@link (RuleInfo:interface)}. */
export const RuleInfo: InjectionToken<RuleInfo> = Symbol.for('gatepass.RuleInfo');

/** The subscriptions to SPIFFE Workload APIs. */
export interface WorkloadApis {
	/** That to the API at an address. Does not subscribe yet. */
	at(address: string): WorkloadApi;
}
/** Inject this to get the {@link (WorkloadApis:interface)}. */
export const WorkloadApis: InjectionToken<WorkloadApis> = Symbol.for('gatepass.WorkloadApis');

/** Inject this to get the options of the rule, after validation. Their type is the strategy's own. */
export const StrategyOptions: InjectionToken<unknown> = Symbol.for('gatepass.StrategyOptions');

/**
 * A cache key that tells apart everything given: no two different sets of parts give the same key.
 * A part that is `undefined` counts as absent; the order of the parts does not matter, that of a list does.
 */
export function tokenKey(parts: Readonly<Record<string, string | readonly string[] | undefined>>): string {
	const present = Object.entries(parts)
		.filter(([, value]) => value !== undefined)
		.sort(([a], [b]) => (a < b ? -1 : 1));
	return JSON.stringify(present);
}
