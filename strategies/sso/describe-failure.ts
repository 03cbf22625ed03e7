/** Puts into words why an authorization server refused: which rule, which endpoint, what came back, what to try. */
import * as oauth from 'oauth4webapi';
import type {AnyDiagnosticCode} from '../../src/diagnostics/diagnostic.ts';
import {GatepassError, type TokenRequestDetails, TokenRequestError} from '../../src/errors.ts';
import {type RuleInfo, readRetryAfter} from '../../src/strategy/index.ts';
import type {Doubt} from '../bearer/claims.ts';
import {printable} from '../bearer/printable.ts';

/** The endpoints that secrets are sent to, by their names in the metadata. */
export type EndpointName = 'token_endpoint' | 'revocation_endpoint' | 'introspection_endpoint';

/** What a message about a request to an authorization server names, and what it must not show. */
export interface Exchange {
	readonly name: EndpointName;
	readonly endpoint: string;
	readonly rule: RuleInfo;
	readonly secrets: readonly string[];
	/** What the server may not have liked, by the OAuth error code. */
	readonly doubts?: (error: string) => readonly Doubt[];
}

/** An error that names the endpoint and the rule. */
export function refusal(
	{name, endpoint, rule}: Exchange,
	{code = 'token-request-failed', what, hint}: {code?: AnyDiagnosticCode; what: string; hint: string},
	details: TokenRequestDetails,
	options?: ErrorOptions,
): TokenRequestError {
	const {origin, pathname} = new URL(endpoint);
	const place = `The ${name.replace('_', ' ')} ${origin}${pathname} (rule for ${rule.match}, ${rule.source})`;
	return new TokenRequestError({code, what: `${place} ${what}`, hint}, details, options);
}

/** The error for whatever a request threw. */
export function describeFailure(
	error: unknown,
	response: Response | undefined,
	exchange: Exchange,
): GatepassError {
	if (error instanceof GatepassError) return error;
	const refused = oauthErrorIn(error);
	if (refused !== undefined) return describeOauthError(refused, response, exchange);
	if (response === undefined) {
		// From the HTTP client, whose errors hold neither headers nor body.
		const reason = printable((error as Error).message, exchange.secrets);
		return refusal(
			exchange,
			{
				code: 'token-endpoint-unreachable',
				what: `gave no answer: ${reason}`,
				hint: adviceForSilence(error, exchange),
			},
			{},
			{cause: error},
		);
	}
	const {status} = response;
	const type = response.headers.get('content-type')?.split(';')[0];
	const what =
		status === 200
			? whatCameInstead(error, type)
			: `answered ${status}${type === undefined ? '' : ` with ${type}`}`;
	const {retryAfter} = retryAfterOf(response);
	const finding = {
		code: codeForStatus(status),
		what: printable(what, exchange.secrets),
		hint: adviceForStatus(status, retryAfter, exchange.name),
	};
	return refusal(exchange, finding, {status, ...(retryAfter !== undefined && {retryAfter})});
}

function codeForStatus(status: number): AnyDiagnosticCode {
	if (status === 404 || status === 405) return 'token-endpoint-wrong';
	if (status === 200) return 'token-answer-unusable';
	if (status === 429 || status === 503) return 'token-request-delayed';
	return status === 401 || status === 403 ? 'client-refused' : 'token-request-failed';
}

/** Codes of OpenSSL's for a server whose chain leads to nothing that is trusted. */
const untrustedCodes: ReadonlySet<unknown> = new Set([
	...['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY'],
	...['SELF_SIGNED_CERT_IN_CHAIN', 'DEPTH_ZERO_SELF_SIGNED_CERT', 'CERT_UNTRUSTED'],
]);

function adviceForSilence(error: unknown, {endpoint}: Exchange): string {
	return untrustedCodes.has((error as {code?: unknown}).code)
		? `If this is the right server, add its CA under 'trust', for ${new URL(endpoint).origin}`
		: 'Check the endpoint and the network, or try again';
}

function adviceForStatus(status: number, retryAfter: number | undefined, name: EndpointName): string {
	if (retryAfter !== undefined) return `Try again in ${Math.ceil(retryAfter / 1000)} s`;
	if (status === 429) return 'Try again later, and less often';
	if (status >= 500) return 'Try again later, and tell whoever runs the server if it lasts';
	const isEndpoint = `Check that this is the ${name.replace('_', ' ')}`;
	if (status !== 401 && status !== 403) return isEndpoint;
	const isClient = `${isEndpoint}, that it knows this client, and that 'clientAuthentication' is a way that it takes`;
	// Some say no more where a request lacks a scope that they insist on.
	return status === 403 && name === 'token_endpoint'
		? `${isClient}; it may insist on a 'scope', too`
		: isClient;
}

/** What an authorization server says in the body of its answer (RFC 6749 section 5.2), or in a DPoP challenge. */
interface OauthError {
	readonly error: string;
	readonly error_description?: string | undefined;
}

/** Codes that are registered for these endpoints. They hold no secret, even where a short one is a part of them. */
const knownCodes: ReadonlySet<string> = new Set([
	...['invalid_request', 'invalid_client', 'invalid_grant', 'invalid_scope', 'invalid_target'],
	...['unauthorized_client', 'unsupported_grant_type', 'unsupported_token_type'],
	...['invalid_dpop_proof', 'use_dpop_nonce', 'temporarily_unavailable', 'server_error'],
	'access_denied',
]);

/** Codes for which an assertion may be the reason (RFC 7521 section 4.1.1 and 4.2.1, and what servers make of it). */
const aboutAssertions: ReadonlySet<string> = new Set([
	'invalid_client',
	'invalid_grant',
	'invalid_request',
	'unauthorized_client',
	// Keycloak's, where the requester is not among those that the subject token is for.
	'access_denied',
]);

function oauthErrorIn(error: unknown): OauthError | undefined {
	if (error instanceof oauth.ResponseBodyError) return error;
	if (!(error instanceof oauth.WWWAuthenticateChallengeError)) return undefined;
	const parameters = error.cause.find(({scheme}) => scheme === 'dpop')?.parameters;
	return parameters?.error === undefined
		? undefined
		: {error: parameters.error, error_description: parameters.error_description};
}

function describeOauthError(
	{error, error_description}: OauthError,
	response: Response | undefined,
	exchange: Exchange,
): TokenRequestError {
	const code = knownCodes.has(error) ? error : printable(error, exchange.secrets);
	// The library does not check what kind of value it is.
	const description =
		typeof error_description === 'string' ? printable(error_description, exchange.secrets) : undefined;
	const quoted = description === undefined ? '' : ` (${description})`;
	const details: TokenRequestDetails = {
		...(response !== undefined && {status: response.status}),
		error: code,
		...(description !== undefined && {errorDescription: description}),
		...retryAfterOf(response),
	};
	// The library's error is no cause: it holds the answer, which could repeat the request.
	const doubts = (aboutAssertions.has(code) && exchange.doubts?.(code)) || [];
	const advice = adviceFor(code);
	const why = doubts.map(({what}) => `. ${what}`).join('');
	const hint = doubts.length > 0 ? [...new Set(doubts.map(doubt => doubt.hint))].join('. ') : advice.hint;
	const cause = doubts.find(doubt => doubt.code !== undefined)?.code ?? advice.code;
	return refusal(exchange, {code: cause, what: `refused: ${code}${quoted}${why}`, hint}, details);
}

/** The library's messages name fields, never values. */
function whatCameInstead(error: unknown, type: string | undefined): string {
	const {code, message} = error as {code?: string; message?: string};
	if (code === oauth.RESPONSE_IS_NOT_JSON) return `answered with ${type ?? 'no content type'}, not JSON`;
	if (code === oauth.PARSE_ERROR) return 'answered with JSON that is empty or broken';
	if (error instanceof oauth.UnsupportedOperationError) return 'answered with a token of an unknown type';
	return `answered with something that is no token (${message ?? 'unknown'})`;
}

function adviceFor(code: string): {code: AnyDiagnosticCode; hint: string} {
	switch (code) {
		case 'invalid_client':
			return {
				code: 'client-refused',
				hint: "Check 'clientId', 'clientSecret', 'clientAssertion' or 'privateKey', and 'clientAuthentication'",
			};
		case 'invalid_scope':
			return {code: 'scope-refused', hint: "Check 'scope'"};
		case 'invalid_target':
			return {code: 'audience-refused', hint: "Check 'audience' and 'resource'"};
		case 'invalid_grant':
			return {
				code: 'grant-refused',
				hint: 'Check the subject token: it may have expired, or be meant for somebody else',
			};
		case 'unauthorized_client':
		case 'unsupported_grant_type':
			return {code: 'grant-not-allowed', hint: 'Have the client allowed this grant'};
		case 'invalid_dpop_proof':
			return {code: 'dpop-proof-refused', hint: "Check this machine's clock"};
		case 'use_dpop_nonce':
			return {
				code: 'dpop-nonce-refused',
				hint: "Set 'dpop: true', or have the server put right if it is set: it was sent the nonce that it gave",
			};
		default:
			return {code: 'token-request-refused', hint: 'Check the options of the rule'};
	}
}

/** Milliseconds. Whoever asks for more is not believed: it is as long as the token cache heeds it. */
const longestWait = 600_000;

/** What the answer says of when to ask again, ten minutes at most. What is no number of milliseconds counts for nothing. */
export function retryAfterOf(response: Response | undefined): {retryAfter?: number} {
	const wait = response && readRetryAfter(response.headers);
	return wait === undefined || !Number.isFinite(wait) ? {} : {retryAfter: Math.min(wait, longestWait)};
}
