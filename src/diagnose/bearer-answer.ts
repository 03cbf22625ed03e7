/** Why a server does not take a token: what it says (RFC 6750 section 3), and what the token says of itself. */
import {claimsOf} from '../../strategies/bearer/claims.ts';
import {printable} from '../../strategies/bearer/printable.ts';
import {type Diagnostic, diagnostic, type Finding} from '../diagnostics/diagnostic.ts';
import {type Challenge, parseChallenges} from '../strategy/challenges.ts';
import type {Evidence} from '../strategy/index.ts';
import type {Answer, Subject} from './stage.ts';

/** What a token says of itself (RFC 9068), unverified. */
interface TokenFacts {
	readonly audiences: readonly string[];
	readonly scopes: readonly string[];
	readonly issuer: string | undefined;
	/** Milliseconds since 1970. */
	readonly expires: number | undefined;
	readonly begins: number | undefined;
}

/** What is told of the token that was shown; nothing where it does not speak for itself. */
export function tokenEvidence(authorization: string | undefined): Evidence {
	const facts = factsOf(authorization);
	if (facts === undefined) return {};
	const {audiences, scopes, issuer, expires} = facts;
	return {
		'token audience': audiences,
		'token scope': scopes,
		...(issuer !== undefined && {'token issuer': issuer}),
		...(expires !== undefined && {'token expires': new Date(expires).toISOString()}),
	};
}

/** What the server says of a refusal of a token, by the words of RFC 6750 section 3. */
export function refusalEvidence({status, headers, body, authorization}: Answer): Evidence {
	const isRefused = status === 401 || status === 403;
	if (!isRefused || !/^(?:Bearer|DPoP) /i.test(authorization ?? '')) return {};
	const challenges = parseChallenges(headers['www-authenticate']);
	const {error, description, wantedScope} = sayings(challenges, body, authorization);
	return {
		...(error !== undefined && {error}),
		...(description !== undefined && {error_description: description}),
		...(wantedScope !== undefined && {'scope wanted': wantedScope}),
	};
}

export function explainTokenRefusal(
	{url, rule}: Subject,
	{status, headers, authorization, body}: Answer,
	challenges: readonly Challenge[],
): Diagnostic {
	const said = sayings(challenges, body, authorization);
	const {scope, audience} = (rule?.rule.options ?? {}) as {scope?: string; audience?: string};
	const facts = factsOf(authorization);
	const has = describeFacts(facts);
	const asked = [
		audience === undefined ? undefined : `audience ${audience}`,
		scope === undefined ? undefined : `scope ${scope}`,
	].filter(part => part !== undefined);
	const place = `${url.host} answered ${status} to the token of the rule for ${rule?.info.match} (${rule?.info.source})${said.quoted}`;
	const compared = `${has}; the rule asks for ${asked.join(' and ') || 'neither audience nor scope'}`;
	const tell = (finding: Finding): Diagnostic => diagnostic(finding);
	const date = Date.parse(headers.date ?? '');
	const theirs = Number.isNaN(date) ? Date.now() : date;
	if (facts?.expires !== undefined && facts.expires <= theirs) {
		const late = Math.round((theirs - facts.expires) / 1000);
		return tell({
			code: 'token-expired',
			what: `${place}. It expired ${late} s ago by the server's clock`,
			hint: "See that whoever renews it runs, and compare this machine's clock",
		});
	}
	if (facts?.begins !== undefined && facts.begins > theirs + 1000) {
		return tell({
			code: 'clock-ahead-of-server',
			what: `${place}. It is valid from ${new Date(facts.begins).toISOString()} only, and the server's clock says ${new Date(theirs).toISOString()}`,
			hint: 'Have the clocks of the issuer and the server set',
		});
	}
	if (said.wantedScope !== undefined || said.error === 'insufficient_scope') {
		const wanted = said.wantedScope === undefined ? 'another scope' : `the scope ${said.wantedScope}`;
		return tell({
			code: 'token-scope-missing',
			what: `${place}: it wants ${wanted}. ${compared}`,
			hint: "Set 'scope' in the rule's options, and have the client allowed it",
		});
	}
	const isElsewhere =
		facts !== undefined &&
		audience !== undefined &&
		facts.audiences.length > 0 &&
		!facts.audiences.includes(audience);
	if (isElsewhere || /\baud(?:ience)?\b/i.test(said.description ?? '')) {
		return tell({
			code: 'token-audience-wrong',
			what: `${place}. ${compared}`,
			hint: "Set 'audience' (or 'resource') in the rule's options to what the server goes by",
		});
	}
	if (status === 403) {
		return tell({
			code: 'access-denied',
			what: `${place}: it most likely knows who asks, and does not allow it. ${compared}`,
			hint: "Ask whoever runs the server what it wants; set 'scope' or 'audience' if it is that",
		});
	}
	return tell({
		code: 'token-refused',
		what: `${place}. ${compared}`,
		hint: 'Ask whoever runs the server which issuer, audience and scope it takes',
	});
}

interface Sayings {
	readonly error: string | undefined;
	readonly description: string | undefined;
	/** RFC 6750 section 3. */
	readonly wantedScope: string | undefined;
	/** For a message. */
	readonly quoted: string;
}

/** In a challenge, or else in a body of JSON. */
function sayings(challenges: readonly Challenge[], body: string, authorization: string | undefined): Sayings {
	const secret = authorization?.replace(/^\S+ /, '');
	const secrets = secret === undefined ? [] : [secret];
	const parameters = challenges.find(({scheme}) => /^(?:bearer|dpop)$/i.test(scheme))?.parameters;
	const inBody = parameters?.has('error') ? undefined : errorIn(body);
	const clean = (text: string | undefined): string | undefined =>
		text === undefined ? undefined : printable(text, secrets);
	const error = clean(parameters?.get('error') ?? inBody?.error);
	const description = clean(parameters?.get('error_description') ?? inBody?.description);
	const wantedScope = error === 'insufficient_scope' ? clean(parameters?.get('scope')) : undefined;
	const words = [error, description].filter(word => word !== undefined).join(': ');
	return {error, description, wantedScope, quoted: words === '' ? '' : ` (${words})`};
}

function errorIn(body: string): {error: string | undefined; description: string | undefined} | undefined {
	try {
		const {error, error_description, message} = (JSON.parse(body) ?? {}) as Record<string, unknown>;
		const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
		return {error: text(error), description: text(error_description) ?? text(message)};
	} catch {
		return undefined;
	}
}

function factsOf(authorization: string | undefined): TokenFacts | undefined {
	const token = /^(?:Bearer|DPoP) (\S+)$/i.exec(authorization ?? '')?.[1];
	const claims = token === undefined ? undefined : claimsOf(token);
	if (claims === undefined) return undefined;
	const {aud, scope, scp, iss, exp, nbf} = claims;
	const texts = (value: unknown): string[] =>
		[value ?? []].flat().flatMap(one => (typeof one === 'string' ? [printable(one, [])] : []));
	const time = (value: unknown): number | undefined =>
		typeof value === 'number' && Math.abs(value) < 1e11 ? value * 1000 : undefined;
	return {
		audiences: texts(aud),
		scopes: texts(scope ?? scp).flatMap(text => text.split(' ').filter(one => one !== '')),
		issuer: texts(iss)[0],
		expires: time(exp),
		begins: time(nbf),
	};
}

function describeFacts(facts: TokenFacts | undefined): string {
	if (facts === undefined) return 'The token does not say what it is for';
	const {audiences, scopes} = facts;
	return `The token has ${audiences.length === 0 ? 'no audience' : `the audience ${audiences.join(' and ')}`} and ${scopes.length === 0 ? 'no scope' : `the scope ${scopes.join(' ')}`}`;
}
