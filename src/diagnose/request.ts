/** The last stage: the request itself, with all its legs, and what its answer means. */

import {parseChallenges} from '../strategy/challenges.ts';
import type {Evidence} from '../strategy/index.ts';
import {http} from '../tls/node-http.ts';
import {explainAnswer} from './answer.ts';
import {diagnosticsOf} from './failures.ts';
import {type Sent, sendRequest} from './send.ts';
import type {Found, Subject} from './stage.ts';

export async function lookAtRequest(subject: Subject, signal: AbortSignal): Promise<Found> {
	let sent: Sent;
	try {
		sent = await sendRequest(subject, signal);
	} catch (error) {
		return {diagnostics: diagnosticsOf(error as Error, subject)};
	}
	try {
		const {answer, request} = sent;
		const body = answer.status >= 400 && subject.method !== 'HEAD' ? await answer.body().catch(() => '') : '';
		const told = explainAnswer(subject, {
			status: answer.status,
			headers: answer.headers,
			body,
			authorization: request.headers.get('authorization'),
		});
		const refusal = request.refusal?.diagnostics ?? [];
		return {
			evidence: {...describe(sent, subject), ...told.evidence},
			diagnostics: refusal.length > 0 && saysLittle(told.diagnostics) ? refusal : (told.diagnostics ?? []),
		};
	} finally {
		sent.close();
	}
}

/** What its status says is less than what the strategy could tell of a refusal. */
const littleSaying: readonly string[] = [
	'token-refused',
	'credential-refused',
	'kerberos-token-refused',
	'request-not-accepted',
];

function saysLittle(diagnostics: Found['diagnostics'] = []): boolean {
	return diagnostics.length > 0 && diagnostics.every(({code}) => littleSaying.includes(code));
}

function describe({answer, legs}: Sent, {url}: Subject): Evidence {
	const {status, headers} = answer;
	const location = headers.location === undefined ? null : URL.parse(headers.location, url.href);
	const challenges = parseChallenges(headers['www-authenticate']).map(({scheme}) => scheme);
	return {
		answer: `${status} ${http.STATUS_CODES[status] ?? ''}`.trimEnd(),
		legs: legs.map(leg => `${leg.status} in ${Math.ceil(leg.duration)} ms`),
		...(headers.server !== undefined && {server: headers.server.slice(0, 100)}),
		...(challenges.length > 0 && {challenges}),
		...(location !== null && {'leads to': `${location.origin}${location.pathname}`}),
	};
}
