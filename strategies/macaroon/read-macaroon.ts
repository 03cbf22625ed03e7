/** What a storage answers to a request for a macaroon. */
import {TokenRequestError} from '../../src/errors.ts';
import type {RuleInfo} from '../../src/strategy/index.ts';
import {bearerToken} from '../bearer/jwt.ts';
import {printable} from '../bearer/printable.ts';

export interface MacaroonExchange {
	readonly url: URL;
	readonly rule: RuleInfo;
	/** Texts that must not show up in a message. */
	readonly secrets: readonly string[];
}

export interface Macaroon {
	/** A secret. */
	readonly value: string;
	/** Milliseconds since 1970. */
	readonly expiresAt: number;
}

/**
 * The macaroon of an answer.
 *
 * @param expectedEnd when it ends, as it was asked for; the storage may give less.
 * @throws {TokenRequestError} where it holds none.
 */
export async function readMacaroon(
	response: Response,
	expectedEnd: number,
	{url, rule, secrets}: MacaroonExchange,
): Promise<Macaroon> {
	const {status} = response;
	const fail = (what: string, hint: string): TokenRequestError =>
		new TokenRequestError(
			{
				code: 'token-request-failed',
				what: `The storage ${url.origin}${url.pathname} (rule for ${rule.match}, ${rule.source}) ${what}`,
				hint,
			},
			{status},
		);
	if (status >= 300 && status < 400) {
		throw fail(
			'sends the request for a macaroon elsewhere',
			'Write a rule for the host that gives macaroons',
		);
	}
	const text = await response.text();
	if (status !== 200) {
		const said = printable(firstLine(text), secrets).trim();
		throw fail(`gave no macaroon: it answered ${status}${said === '' ? '' : ` (${said})`}`, hintFor(status));
	}
	const value = macaroonIn(text);
	if (value === undefined) throw fail('answered with something that is no macaroon', hintFor(404));
	const end = Math.min(expectedEnd, endOf(value) ?? expectedEnd);
	if (end <= Date.now())
		throw fail('gave a macaroon that has already expired', "Check the clocks, and 'validity'");
	return {value, expiresAt: end};
}

function hintFor(status: number): string {
	if (status === 401 || status === 403)
		return "Check the credential in 'of', and that it allows the activities for this path";
	if (status >= 500) return 'Try again later, and tell whoever runs it if it lasts';
	return "Check that it gives macaroons, and 'activities' and 'validity'";
}

/** What is said in HTML is for browsers. */
function firstLine(text: string): string {
	return /^\s*</.test(text) ? '' : (text.trim().split('\n')[0] ?? '');
}

function macaroonIn(text: string): string | undefined {
	try {
		const {macaroon} = (JSON.parse(text) ?? {}) as {macaroon?: unknown};
		return typeof macaroon === 'string' && bearerToken.test(macaroon) ? macaroon : undefined;
	} catch {
		return undefined;
	}
}

/** The first end that its caveats name: `before:2026-11-28T10:00:00Z`. They stand in it in the open. */
function endOf(macaroon: string): number | undefined {
	const packets = Buffer.from(macaroon, 'base64url').toString('latin1');
	const ends = [...packets.matchAll(/before:(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d))/g)]
		.map(([, time = '']) => Date.parse(time))
		.filter(time => !Number.isNaN(time));
	return ends.length === 0 ? undefined : Math.min(...ends);
}
