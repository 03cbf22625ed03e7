/**
 * Every error that gatepass throws, in one place.
 *
 * ```
 * GatepassError
 * ├── ConfigurationError          the configuration is wrong; `problems` lists every mistake at once
 * ├── NoRuleError                 no host rule matches, and the configuration is `strict`
 * ├── ClosedError                 a gatepass was used after its `close()`
 * ├── StrategyNotFoundError       a rule names a strategy that nobody registered
 * ├── StrategyError               a strategy broke the rules of a conversation
 * ├── CredentialUnavailableError  no credential to be had: no file, no variable, no ticket
 * ├── CertificateError            a certificate or key is unusable, or one side refused the other's
 * ├── TokenRequestError           whoever issues tokens gave no usable one
 * ├── TokenCacheError             the token store is down or damaged (reported, never thrown at a request)
 * ├── KerberosExchangeError       the GSS-API refused a token or could not make one
 * ├── MutualAuthenticationError   the server did not prove who it is
 * ├── InsecureTransportError      a credential would have gone over plain http
 * ├── AcmeError                   an ACME server refused, or gave what cannot be used
 * └── CheckpointError             a change to files of others could not be kept or taken back
 * ```
 *
 * Each has a `code` (`ERR_GATEPASS_…`), a message that says what happened, where, and what to do, `diagnostics`, of
 * which the message is made, and, where another error stands behind it, `cause`. No message, property or
 * `util.inspect` of them holds a secret.
 */
import type {DiagnosticCode} from './diagnostics/codes.ts';
import {
	type AnyDiagnosticCode,
	type Diagnostic,
	diagnostic,
	type Finding,
	render,
} from './diagnostics/diagnostic.ts';

/** The codes of all errors, for `switch (error.code)`. */
export const errorCodes = {
	GatepassError: 'ERR_GATEPASS',
	ConfigurationError: 'ERR_GATEPASS_CONFIGURATION',
	NoRuleError: 'ERR_GATEPASS_NO_RULE',
	ClosedError: 'ERR_GATEPASS_CLOSED',
	StrategyNotFoundError: 'ERR_GATEPASS_STRATEGY_NOT_FOUND',
	StrategyError: 'ERR_GATEPASS_STRATEGY',
	CredentialUnavailableError: 'ERR_GATEPASS_CREDENTIAL_UNAVAILABLE',
	CertificateError: 'ERR_GATEPASS_CERTIFICATE',
	TokenRequestError: 'ERR_GATEPASS_TOKEN_REQUEST',
	TokenCacheError: 'ERR_GATEPASS_TOKEN_CACHE',
	KerberosExchangeError: 'ERR_GATEPASS_KERBEROS_EXCHANGE',
	MutualAuthenticationError: 'ERR_GATEPASS_MUTUAL_AUTHENTICATION',
	InsecureTransportError: 'ERR_GATEPASS_INSECURE_TRANSPORT',
	AcmeError: 'ERR_GATEPASS_ACME',
	CheckpointError: 'ERR_GATEPASS_CHECKPOINT',
} as const;

/** The name of a gatepass error class. */
export type GatepassErrorName = keyof typeof errorCodes;

/** The `code` of a gatepass error. */
export type GatepassErrorCode = (typeof errorCodes)[GatepassErrorName];

/** The base of all errors of gatepass: `error instanceof GatepassError` tells ours from others. */
export class GatepassError extends Error {
	/** Written out instead of taken from the class's name, which a bundler may shorten. */
	protected static readonly kind: GatepassErrorName = 'GatepassError';

	/** Stable, for programs: `ERR_GATEPASS_…`. */
	readonly code: GatepassErrorCode;
	/** What is wrong, for programs: the true cause by its own code, and what to do. At least one. */
	declare readonly diagnostics: readonly Diagnostic[];
	/** Of a request that failed: the command that finds out the rest, `gatepass doctor URL`. */
	declare readonly command?: string;

	/** `finding`: what is wrong, of which the message is made; a text alone has the general code of the class. */
	constructor(finding: Finding | string, options?: ErrorOptions & {diagnostics?: readonly Diagnostic[]}) {
		super(typeof finding === 'string' ? finding : render(finding), options);
		const {kind} = new.target;
		const {
			diagnostics = [
				diagnostic(
					typeof finding === 'string' ? {code: generalCodes[kind], what: finding, hint: ''} : finding,
				),
			],
		} = options ?? {};
		// Not enumerable, as on Node's own errors: `name` is part of the stack already, and so are the diagnostics.
		Object.defineProperty(this, 'name', {value: kind, configurable: true, writable: true});
		Object.defineProperty(this, 'diagnostics', {value: diagnostics, configurable: true});
		this.code = errorCodes[kind];
	}
}

/** What an error is about that says no more. */
const generalCodes: Readonly<Record<GatepassErrorName, DiagnosticCode>> = {
	GatepassError: 'failed',
	ConfigurationError: 'configuration-mistaken',
	StrategyNotFoundError: 'strategy-not-found',
	StrategyError: 'strategy-broken',
	CredentialUnavailableError: 'credential-unavailable',
	CertificateError: 'certificate-unusable',
	TokenRequestError: 'token-request-failed',
	TokenCacheError: 'token-store-failed',
	KerberosExchangeError: 'kerberos-exchange-failed',
	MutualAuthenticationError: 'server-not-proven',
	InsecureTransportError: 'insecure-transport',
	AcmeError: 'acme-request-failed',
	CheckpointError: 'checkpoint-failed',
	ClosedError: 'closed',
	NoRuleError: 'no-rule-matches',
};

/** One mistake in the configuration. */
export interface Problem {
	/** The file that holds the mistake; absent where the configuration was handed over as an object. */
	readonly file?: string;
	/** The line in that file, counted from 1; absent where the format gives none (JavaScript, TypeScript). */
	readonly line?: number;
	/** Where in the configuration, for example `hostRules[0].options.audience`; `(none)` where there is no configuration at all. */
	readonly path: string;
	/** What is wrong. */
	readonly message: string;
	/** What to do about it. */
	readonly hint: string;
	/** Stable, for programs: what kind of mistake it is. */
	readonly code: AnyDiagnosticCode;
}

/** The configuration has mistakes: all of them, at once. */
export class ConfigurationError extends GatepassError {
	protected static override readonly kind: GatepassErrorName = 'ConfigurationError';

	/** Every mistake found, in the order of the file. */
	readonly problems: readonly Problem[];

	constructor(problems: readonly Problem[], options?: ErrorOptions) {
		super(describeProblems(problems), {...options, diagnostics: problems.map(toDiagnostic)});
		this.problems = problems;
	}
}

/** No host rule matches a request, and the configuration says `strict: true`. Nothing was sent. */
export class NoRuleError extends GatepassError {
	protected static override readonly kind: GatepassErrorName = 'NoRuleError';
}

/** A gatepass was used after its `close()`. */
export class ClosedError extends GatepassError {
	protected static override readonly kind: GatepassErrorName = 'ClosedError';
}

/** A strategy asked for another one by a name that nobody registered. In a configuration, that is one of the `problems`. */
export class StrategyNotFoundError extends GatepassError {
	protected static override readonly kind: GatepassErrorName = 'StrategyNotFoundError';
}

/** A strategy broke the rules of a conversation, for example by yielding more than ten times. */
export class StrategyError extends GatepassError {
	protected static override readonly kind: GatepassErrorName = 'StrategyError';
}

/** There is no credential: a file or variable is missing, a ticket has run out. The message says where to get one. */
export class CredentialUnavailableError extends GatepassError {
	protected static override readonly kind: GatepassErrorName = 'CredentialUnavailableError';
}

/**
 * A certificate or key cannot be used, or one side of a TLS connection refused the other's certificate.
 * The message names the host and the file at fault.
 */
export class CertificateError extends GatepassError {
	protected static override readonly kind: GatepassErrorName = 'CertificateError';
}

/** What is known about a failed token request. Durations are milliseconds. */
export interface TokenRequestDetails {
	/** HTTP status of the token endpoint's answer; absent where there was none. */
	readonly status?: number;
	/** The OAuth error code, RFC 6749 section 5.2, for example `invalid_client`. */
	readonly error?: string;
	/** The server's `error_description`, RFC 6749 section 5.2. */
	readonly errorDescription?: string;
	/** Milliseconds to wait before asking again, from `Retry-After` (RFC 9110 section 10.2.3). */
	readonly retryAfter?: number;
}

/** The authorization server, or the program or agent in its place, gave no usable token. */
export class TokenRequestError extends GatepassError implements TokenRequestDetails {
	protected static override readonly kind: GatepassErrorName = 'TokenRequestError';

	declare readonly status?: number;
	declare readonly error?: string;
	declare readonly errorDescription?: string;
	declare readonly retryAfter?: number;

	constructor(finding: Finding | string, details: TokenRequestDetails = {}, options?: ErrorOptions) {
		super(finding, options);
		Object.assign(this, details);
	}
}

/** The token store failed. Published as an event and shown by `doctor`; a request goes on from memory. */
export class TokenCacheError extends GatepassError {
	protected static override readonly kind: GatepassErrorName = 'TokenCacheError';
}

/** What the GSS-API said (RFC 2743). */
export interface KerberosExchangeDetails {
	/** Major status code. */
	readonly major?: number;
	/** Minor status code, of the mechanism. */
	readonly minor?: number;
	/** The response at which the exchange failed: its status and headers. */
	readonly response?: {
		readonly status: number;
		readonly headers: Readonly<Record<string, string | string[] | undefined>>;
	};
}

/** A Kerberos (SPNEGO) token could not be made or was refused. */
export class KerberosExchangeError extends GatepassError implements KerberosExchangeDetails {
	protected static override readonly kind: GatepassErrorName = 'KerberosExchangeError';

	declare readonly major?: number;
	declare readonly minor?: number;
	declare readonly response?: NonNullable<KerberosExchangeDetails['response']>;

	constructor(
		finding: Finding | string,
		{response, ...status}: KerberosExchangeDetails = {},
		options?: ErrorOptions,
	) {
		super(finding, options);
		Object.assign(this, status);
		// Not enumerable: a server's headers do not belong in a log line.
		Object.defineProperty(this, 'response', {value: response, configurable: true});
	}
}

/** The server did not prove its identity although the rule demands it (RFC 4559 section 5). */
export class MutualAuthenticationError extends GatepassError {
	protected static override readonly kind: GatepassErrorName = 'MutualAuthenticationError';
}

/** A credential would have gone over plain http to a host that is not this machine. */
export class InsecureTransportError extends GatepassError {
	protected static override readonly kind: GatepassErrorName = 'InsecureTransportError';
}

/** What one name of an order failed by (RFC 8555 section 6.7.1). */
export interface AcmeSubproblem {
	/** The name or address; absent where the server does not say. */
	readonly identifier?: string;
	/** The error's type without its prefix, for example `dns` or `rejectedIdentifier`. */
	readonly type: string;
	/** The server's words. */
	readonly detail: string;
}

/** What is known of a refusal of an ACME server (RFC 8555 section 6.7). Durations are milliseconds. */
export interface AcmeDetails {
	/** HTTP status of the answer; absent where there was none. */
	readonly status?: number;
	/** The error's type without its prefix `urn:ietf:params:acme:error:`, for example `rateLimited`. */
	readonly type?: string;
	/** Milliseconds to wait before asking again (RFC 9110 section 10.2.3), at most a day. */
	readonly retryAfter?: number;
	/** One for each name at fault. */
	readonly subproblems?: readonly AcmeSubproblem[];
}

/** An ACME server (RFC 8555) refused a request, or gave something that cannot be used. */
export class AcmeError extends GatepassError implements AcmeDetails {
	protected static override readonly kind: GatepassErrorName = 'AcmeError';

	declare readonly status?: number;
	declare readonly type?: string;
	declare readonly retryAfter?: number;
	declare readonly subproblems?: readonly AcmeSubproblem[];

	constructor(finding: Finding | string, details: AcmeDetails = {}, options?: ErrorOptions) {
		super(finding, options);
		Object.assign(this, details);
	}
}

/** A change to files of others, such as a web server's configuration, could not be kept or taken back. */
export class CheckpointError extends GatepassError {
	protected static override readonly kind: GatepassErrorName = 'CheckpointError';
}

function toDiagnostic({file, line, path, message, hint, code}: Problem): Diagnostic {
	const where = file === undefined ? undefined : `${file}${line === undefined ? '' : `:${line}`}`;
	const what = isPlaceholder(path, file) ? message : `${path}: ${message}`;
	return diagnostic({code, what, hint, ...(where !== undefined && {where})});
}

/** Whether `path` names no setting, such as `(text)`, and the file or the message says more than it would. */
function isPlaceholder(path: string, file: string | undefined): boolean {
	return path === '(none)' || (file !== undefined && path.startsWith('('));
}

function describeProblems(problems: readonly Problem[]): string {
	const [first] = problems;
	// There is none at all.
	if (first?.path === '(none)') return `${first.message}. ${first.hint}`;
	const lines = problems.map(({file, line, path, message, hint}) => {
		const parts = [
			...(file === undefined ? [] : [`${file}${line === undefined ? '' : `:${line}`}`]),
			...(isPlaceholder(path, file) ? [] : [path]),
		];
		return `  ${parts.join(': ')}: ${message}. ${hint}`;
	});
	const count = problems.length === 1 ? 'a mistake' : `${problems.length} mistakes`;
	return `The configuration has ${count}:\n${lines.join('\n')}`;
}
