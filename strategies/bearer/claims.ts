/** What a JWT says that somebody else made: read without a key, to tell what a server will not like about it. */
import type {AnyDiagnosticCode} from '../../src/diagnostics/diagnostic.ts';
import {printable} from './printable.ts';

/** Milliseconds that clocks may differ without a word. */
const slack = 30_000;

/** The claims, unverified; `undefined`: it is no JWT. */
export function claimsOf(token: string): Readonly<Record<string, unknown>> | undefined {
	const parts = token.split('.');
	if (parts.length !== 3) return undefined;
	try {
		const claims: unknown = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString('utf8'));
		return typeof claims === 'object' && claims !== null && !Array.isArray(claims)
			? (claims as Record<string, unknown>)
			: undefined;
	} catch {
		return undefined;
	}
}

/** What a server may refuse something for. */
export interface Doubt {
	/** Where it is the likely cause by itself. */
	readonly code?: AnyDiagnosticCode;
	/** A sentence without its full stop. */
	readonly what: string;
	/** What to do about it, likewise. */
	readonly hint: string;
}

/** A server that an assertion is shown to. */
export interface AssertionReader {
	/** What it goes by: RFC 7523 section 3 wants one of these as the audience. */
	readonly names: readonly string[];
	/** What its clock says, in milliseconds since 1970, as far as that is known. */
	readonly now: number;
	/** The client that asks. */
	readonly clientId: string;
	/** The OAuth error code of its refusal. */
	readonly error: string;
}

/**
 * What a server may refuse an assertion for (RFC 7523 section 3). Of its claims, the audience alone is repeated, and when
 * it was made and ends.
 *
 * @param place where it comes from, for a person.
 */
export function doubtsAbout(
	assertion: string,
	place: string,
	{names, now}: Pick<AssertionReader, 'names' | 'now'>,
): Doubt[] {
	const claims = claimsOf(assertion);
	if (claims === undefined) {
		// SAML's assertions (RFC 7522) are none, either.
		return [
			{what: `What ${place} holds is no JWT`, hint: 'Correct where it comes from, unless it is of SAML'},
		];
	}
	const doubts: Doubt[] = [];
	const {exp, nbf, iat, aud, iss, sub} = claims;
	const from = `The assertion from ${place}`;
	if (typeof exp !== 'number')
		doubts.push({what: `${from} does not say when it expires (exp)`, hint: 'Have it issued with that'});
	else if (exp * 1000 <= now) {
		doubts.push({
			code: 'assertion-expired',
			what: `${from} expired on ${dateOf(exp)}`,
			hint: 'See whether whoever renews it still runs',
		});
	}
	const begins = [nbf, iat].filter(time => typeof time === 'number').sort((a, b) => b - a)[0];
	if (begins !== undefined && begins * 1000 > now + slack) {
		doubts.push({
			code: 'clock-ahead-of-server',
			what: `${from} is valid from ${dateOf(begins)} only`,
			hint: 'Check the clocks of its issuer and of this machine',
		});
	}
	const audiences = [aud ?? []].flat().filter(name => typeof name === 'string');
	const wanted = `Have it issued for ${names[0]}`;
	if (audiences.length === 0) doubts.push({what: `${from} says not whom it is for (aud)`, hint: wanted});
	else if (!audiences.some(name => names.some(known => sameUrl(known, name)))) {
		const list = audiences.slice(0, 3).map(name => printable(name, []).slice(0, 100));
		doubts.push({
			what: `${from} is for ${list.join(' and ')}, and this server goes by ${names.join(' and ')}: it may take it for another's`,
			hint: wanted,
		});
	}
	for (const [name, value] of Object.entries({iss, sub})) {
		if (typeof value !== 'string' || value === '')
			doubts.push({what: `${from} lacks the claim ${name}`, hint: 'Have it issued with that'});
	}
	return doubts;
}

function sameUrl(a: string, b: string): boolean {
	return a.replace(/\/$/, '') === b.replace(/\/$/, '');
}

function dateOf(seconds: number): string {
	const date = new Date(seconds * 1000);
	return Number.isNaN(date.getTime()) ? 'a day that no calendar has' : date.toISOString();
}
