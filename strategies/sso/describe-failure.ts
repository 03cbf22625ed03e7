/** Puts into words why a token request failed: which rule, which endpoint, what came back, what to try. */
import * as oauth from 'oauth4webapi';
import {GatepassError, type TokenRequestDetails, TokenRequestError} from '../../src/errors.ts';
import type {RuleInfo} from '../../src/strategy.ts';

/** What a message about a token request names, and what it must not show. */
export interface Exchange {
	readonly endpoint: string;
	readonly rule: RuleInfo;
	readonly secrets: readonly string[];
}

/** An error that names the endpoint and the rule. */
export function refusal(
	{endpoint, rule}: Exchange,
	what: string,
	mend: string,
	details: TokenRequestDetails,
	options?: ErrorOptions,
): TokenRequestError {
	const {origin, pathname} = new URL(endpoint);
	const place = `The token endpoint ${origin}${pathname} (rule for ${rule.match}, ${rule.source})`;
	return new TokenRequestError(`${place} ${what}. ${mend}`, details, options);
}

/** The error for whatever a token request threw. */
export function describeFailure(
	error: unknown,
	response: Response | undefined,
	exchange: Exchange,
): GatepassError {
	if (error instanceof GatepassError) return error;
	if (error instanceof oauth.ResponseBodyError) return describeOauthError(error, response, exchange);
	if (response === undefined) {
		// From the HTTP client, whose errors hold neither headers nor body.
		const reason = printable((error as Error).message, exchange);
		return refusal(
			exchange,
			`gave no answer: ${reason}`,
			'Check the endpoint and the network, or try again',
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
	return refusal(exchange, printable(what, exchange), 'Check that this is the token endpoint', {
		status,
		...retryAfterOf(response),
	});
}

/**
 * A refusal says in its body why (RFC 6749 section 5.2), and may carry a challenge too; oauth4webapi reads no body
 * where there is a challenge. A DPoP challenge (RFC 9449 section 8) is left for it.
 */
export function withoutChallenge(response: Response): Response {
	const challenge = response.headers.get('www-authenticate');
	if (challenge === null || /^dpop\b/i.test(challenge)) return response;
	const {body, status, headers} = response;
	const others = new Headers(headers);
	others.delete('www-authenticate');
	return new Response(body, {status, headers: others});
}

function describeOauthError(
	error: oauth.ResponseBodyError,
	response: Response | undefined,
	exchange: Exchange,
): TokenRequestError {
	const code = printable(error.error, exchange);
	const description =
		error.error_description === undefined ? undefined : printable(error.error_description, exchange);
	const quoted = description === undefined ? '' : ` (${description})`;
	const details: TokenRequestDetails = {
		status: error.status,
		error: code,
		...(description !== undefined && {errorDescription: description}),
		...retryAfterOf(response),
	};
	// Only a demand for a nonce is kept as the cause, for the second try; other causes could repeat the request.
	const cause = oauth.isDPoPNonceError(error) ? {cause: error} : undefined;
	return refusal(exchange, `refused: ${code}${quoted}`, adviceFor(code), details, cause);
}

/** The library's messages name fields, never values. */
function whatCameInstead(error: unknown, type: string | undefined): string {
	const {code, message} = error as {code?: string; message?: string};
	if (code === oauth.RESPONSE_IS_NOT_JSON) return `answered with ${type ?? 'no content type'}, not JSON`;
	if (code === oauth.PARSE_ERROR) return 'answered with JSON that is empty or broken';
	if (error instanceof oauth.UnsupportedOperationError) return 'answered with a token of an unknown type';
	return `answered with something that is no token (${message ?? 'unknown'})`;
}

function adviceFor(code: string): string {
	switch (code) {
		case 'invalid_client':
			return "Check 'clientId', 'clientSecret' or 'privateKey', and 'clientAuthentication'";
		case 'invalid_scope':
			return "Check 'scope'";
		case 'invalid_target':
			return "Check 'audience' and 'resource'";
		case 'invalid_grant':
			return 'Check the subject token: it may have ended, or be meant for somebody else';
		case 'unauthorized_client':
		case 'unsupported_grant_type':
			return 'Have the client allowed this grant';
		default:
			return 'Check the options of the rule';
	}
}

/** A server may repeat what it was sent, and may send anything. */
function printable(text: string, {secrets}: Exchange): string {
	let hidden = text;
	for (const secret of secrets) {
		hidden = hidden.replaceAll(secret, '…').replaceAll(encodeURIComponent(secret), '…');
	}
	return hidden.replaceAll(/[^\x20-\x7E…]/g, ' ').slice(0, 300);
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function retryAfterOf(response: Response | undefined): {retryAfter?: number} {
	const value = response?.headers.get('retry-after');
	if (!value) return {};
	const milliseconds = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
	return Number.isFinite(milliseconds) ? {retryAfter: Math.max(0, milliseconds)} : {};
}
