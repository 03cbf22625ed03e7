/** What an authorization server may answer, and what makes it a token. */
import type {TokenEndpointResponse} from 'oauth4webapi';
import type {TokenRequestError} from '../../src/errors.ts';
import type {Token} from '../../src/strategy/index.ts';
import {bearerToken} from '../bearer/jwt.ts';
import {type Exchange, refusal} from './describe-failure.ts';

/** Seconds. Servers say "for ever" in numbers of their own, up to 2^31 and beyond; ten years are as good. */
const longestLifetime = 10 * 365 * 86_400;

/** @throws {TokenRequestError} where the server sends the request elsewhere. */
export function refuseRedirect(response: Response, exchange: Exchange): void {
	if (response.status < 300 || response.status > 399) return;
	const location = URL.parse(response.headers.get('location') ?? '', exchange.endpoint);
	// A file has no origin, nor has what is no URL.
	const target = location === null || location.origin === 'null' ? 'elsewhere' : location.origin;
	throw refusal(
		exchange,
		{
			code: 'token-endpoint-wrong',
			what: `redirects to ${target}; the client's secret does not follow`,
			hint: 'Name the right endpoint in the rule',
		},
		{status: response.status},
	);
}

/** Some servers refuse with the status 200; what their body says is then more than that it holds no token. */
export async function refusalAsSuch(response: Response): Promise<Response> {
	const {status, headers} = response;
	if (status !== 200) return response;
	const text = await response.text();
	return new Response(text, {status: holdsError(text) ? 400 : status, headers});
}

function holdsError(text: string): boolean {
	try {
		const {error} = (JSON.parse(text) ?? {}) as {error?: unknown};
		return typeof error === 'string' && error !== '';
	} catch {
		return false;
	}
}

/**
 * A refusal says in its body why (RFC 6749 section 5.2), and may carry a challenge too; oauth4webapi reads no body
 * where there is a challenge. A DPoP challenge (RFC 9449 section 7.1) beside a body of another kind is left for it.
 */
export function withoutChallenge(response: Response): Response {
	const challenge = response.headers.get('www-authenticate');
	const isJson = /[/+]json\b/i.test(response.headers.get('content-type') ?? '');
	if (challenge === null || (!isJson && /^dpop\b/i.test(challenge))) return response;
	const {body, status, headers} = response;
	const others = new Headers(headers);
	others.delete('www-authenticate');
	return new Response(body, {status, headers: others});
}

const used = ['access_token', 'token_type', 'expires_in', 'issued_token_type', 'error', 'error_description'];

/**
 * The answer with those fields alone that somebody reads: an `id_token` for others, or `null` where a server has
 * nothing to say, must not spoil the token. What is no JSON object stays as it is, and is told as such.
 */
export async function withoutUnusedFields(response: Response): Promise<Response> {
	if (response.status !== 200) return response;
	const answer: unknown = await response
		.clone()
		.json()
		.catch(() => undefined);
	if (typeof answer !== 'object' || answer === null || Array.isArray(answer)) return response;
	const kept = Object.entries(answer).filter(([name, value]) => used.includes(name) && value !== null);
	return new Response(JSON.stringify(Object.fromEntries(kept)), {status: 200, headers: response.headers});
}

/**
 * The token that an answer holds.
 *
 * @param issuedAt by the server's clock.
 * @param isBound whether it was to be bound to a key (RFC 9449 section 5).
 * @throws {TokenRequestError} where it is none that could be shown as asked for.
 */
export function readToken(
	{access_token: value, expires_in: seconds, token_type: type}: TokenEndpointResponse,
	issuedAt: number,
	isBound: boolean,
	exchange: Exchange,
): Token {
	const fail = (what: string): TokenRequestError =>
		refusal(
			exchange,
			{code: 'token-answer-unusable', what, hint: 'Ask whoever runs the server'},
			{status: 200},
		);
	if (!bearerToken.test(value)) throw fail('answered with a token that has characters no token may have');
	if (isBound && type === 'bearer')
		throw fail("answered with a token that is not bound to the key of 'dpop'");
	if (!isBound && type === 'dpop') throw fail("answered with a token bound to a key, without 'dpop'");
	const shownAs = isBound ? 'DPoP' : 'Bearer';
	if (seconds === undefined) return {value, type: shownAs};
	// Less than the clock counts.
	if (seconds * 1000 < 1)
		throw fail(`answered with a token that has already expired (expires_in is ${seconds})`);
	const lifetime = Math.min(seconds, longestLifetime);
	return {value, type: shownAs, expiresAt: issuedAt + lifetime * 1000, issuedAt};
}
