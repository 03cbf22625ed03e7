/** One token request. The protocol is oauth4webapi's; the errors are put into words here. */
import * as oauth from 'oauth4webapi';
import {type TokenRequestDetails, TokenRequestError} from '../../src/errors.ts';
import type {HttpClient, RuleInfo, Token} from '../../src/strategy.ts';

export interface TokenRequest {
	readonly endpoint: string;
	readonly clientId: string;
	readonly clientSecret: string;
	readonly clientAuthentication: 'client_secret_basic' | 'client_secret_post';
	readonly audience: string | undefined;
	readonly scope: string | undefined;
	readonly rule: RuleInfo;
}

/** A token that claims to live longer than this, in seconds, comes from a broken server. */
const longestLifetime = 10 * 365 * 86_400;

/**
 * Fetch a token.
 *
 * @throws {TokenRequestError} for anything that is not one.
 */
export async function requestToken(
	request: TokenRequest,
	http: HttpClient,
	signal: AbortSignal,
): Promise<Token> {
	const {endpoint, clientId, clientSecret, audience, scope} = request;
	const server: oauth.AuthorizationServer = {issuer: new URL(endpoint).origin, token_endpoint: endpoint};
	const client: oauth.Client = {client_id: clientId};
	const authentication =
		request.clientAuthentication === 'client_secret_basic'
			? oauth.ClientSecretBasic(clientSecret)
			: oauth.ClientSecretPost(clientSecret);
	const parameters = new URLSearchParams({...(audience && {audience}), ...(scope && {scope})});
	const requestedAt = Date.now();
	let response: Response | undefined;
	try {
		response = await oauth.clientCredentialsGrantRequest(server, client, authentication, parameters, {
			// Whether plain http is allowed was decided with the configuration, rule by rule.
			[oauth.allowInsecureRequests]: true,
			[oauth.customFetch]: (url, init) => http.fetch(url, init as RequestInit),
			signal,
		});
		refuseRedirect(response, request);
		const answer = await oauth.processClientCredentialsResponse(server, client, withoutChallenge(response));
		return toToken(answer, requestedAt, request, response.status);
	} catch (error) {
		throw error instanceof TokenRequestError ? error : describeFailure(error, response, request);
	}
}

/**
 * A refusal says in its body why (RFC 6749 section 5.2), and may carry a challenge too; oauth4webapi reads no body
 * where there is a challenge.
 */
function withoutChallenge(response: Response): Response {
	if (!response.headers.has('www-authenticate')) return response;
	const {body, status, headers} = response;
	const others = new Headers(headers);
	others.delete('www-authenticate');
	return new Response(body, {status, headers: others});
}

function toToken(
	{access_token: value, expires_in: seconds, token_type: type}: oauth.TokenEndpointResponse,
	requestedAt: number,
	request: TokenRequest,
	status: number,
): Token {
	const fail = (what: string): TokenRequestError =>
		new TokenRequestError(`${place(request)} ${what}. Ask whoever runs the server`, {status});
	if (type !== 'bearer')
		throw fail(`answered with a token of the type '${printable(type, request)}', not Bearer`);
	// RFC 6750 section 2.1: anything else cannot stand in a header.
	if (!/^[\w.~+/-]+=*$/.test(value))
		throw fail('answered with a token that has characters no token may have');
	if (seconds === undefined) return {value, type: 'Bearer'};
	if (seconds > longestLifetime) throw fail(`answered with a token said to live ${seconds} seconds`);
	return {value, type: 'Bearer', expiresAt: requestedAt + seconds * 1000};
}

function refuseRedirect(response: Response, request: TokenRequest): void {
	if (response.status < 300 || response.status > 399) return;
	const location = URL.parse(response.headers.get('location') ?? '', request.endpoint);
	const target = location === null ? 'elsewhere' : location.origin;
	throw new TokenRequestError(
		`${place(request)} redirects to ${target}; the client secret does not follow. Name the right endpoint in the rule`,
		{status: response.status},
	);
}

function describeFailure(
	error: unknown,
	response: Response | undefined,
	request: TokenRequest,
): TokenRequestError {
	if (error instanceof oauth.ResponseBodyError) {
		const description =
			error.error_description === undefined ? undefined : printable(error.error_description, request);
		const code = printable(error.error, request);
		const details: TokenRequestDetails = {
			status: error.status,
			error: code,
			...(description !== undefined && {errorDescription: description}),
			...retryAfterOf(response),
		};
		const quoted = description === undefined ? '' : ` (${description})`;
		return new TokenRequestError(`${place(request)} refused: ${code}${quoted}. ${adviceFor(code)}`, details);
	}
	if (response === undefined) {
		// From the HTTP client, whose errors hold neither headers nor body.
		return new TokenRequestError(
			`${place(request)} gave no answer: ${(error as Error).message}. Check the endpoint and the network, or try again`,
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
	return new TokenRequestError(`${place(request)} ${what}. Check that this is the token endpoint`, {
		status,
		...retryAfterOf(response),
	});
}

/** The library's messages name fields, never values. */
function whatCameInstead(error: unknown, type: string | undefined): string {
	const {code, message} = error as {code?: string; message?: string};
	if (code === oauth.RESPONSE_IS_NOT_JSON) return `answered with ${type ?? 'no content type'}, not JSON`;
	if (code === oauth.PARSE_ERROR) return 'answered with JSON that is empty or broken';
	return `answered with something that is no token (${message ?? 'unknown'})`;
}

function adviceFor(code: string): string {
	switch (code) {
		case 'invalid_client':
			return "Check 'clientId', 'clientSecret' and 'clientAuthentication'";
		case 'invalid_scope':
			return "Check 'scope'";
		case 'invalid_target':
			return "Check 'audience'";
		case 'unauthorized_client':
		case 'unsupported_grant_type':
			return 'Have the client allowed the client credentials grant';
		default:
			return 'Check the options of the rule';
	}
}

/** A server may repeat what it was sent, and may send anything. */
function printable(text: string, {clientSecret}: TokenRequest): string {
	const hidden = text.replaceAll(clientSecret, '…').replaceAll(encodeURIComponent(clientSecret), '…');
	return hidden.replaceAll(/[^\x20-\x7E]/g, ' ').slice(0, 300);
}

function place({endpoint, rule}: TokenRequest): string {
	const {origin, pathname} = new URL(endpoint);
	return `The token endpoint ${origin}${pathname} (rule for ${rule.match}, ${rule.source})`;
}

/** RFC 9110 section 10.2.3: seconds, or a date. */
function retryAfterOf(response: Response | undefined): {retryAfter?: number} {
	const value = response?.headers.get('retry-after');
	if (!value) return {};
	const milliseconds = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
	return Number.isFinite(milliseconds) ? {retryAfter: Math.max(0, milliseconds)} : {};
}
