/** What the answer to a request means: why the server did not take the credential, as far as it says so. */
import {type Diagnostic, diagnostic, warning} from '../diagnostics/diagnostic.ts';
import {type Challenge, parseChallenges} from '../strategy/challenges.ts';
import type {Evidence} from '../strategy/index.ts';
import {explainTokenRefusal, refusalEvidence, tokenEvidence} from './bearer-answer.ts';
import {explainNegotiateRefusal} from './negotiate-answer.ts';
import {noRule} from './rule.ts';
import type {Answer, Found, Subject} from './stage.ts';

export function explainAnswer(subject: Subject, answer: Answer): Found {
	const evidence: Evidence = {...refusalEvidence(answer), ...tokenEvidence(answer.authorization)};
	return {evidence, diagnostics: diagnosticsFor(subject, answer)};
}

function diagnosticsFor(subject: Subject, answer: Answer): Diagnostic[] {
	const {status, headers} = answer;
	const {host} = subject.url;
	if (status < 400) return [];
	const aboutCertificate = explainCertificatePage(subject, answer);
	if (aboutCertificate !== undefined) return [aboutCertificate];
	if (status === 401 || status === 403) return [explainRefusal(subject, answer)];
	if (status === 407) {
		const schemes = parseChallenges(headers['proxy-authenticate']).map(({scheme}) => scheme);
		return [
			diagnostic({
				code: 'proxy-demands-authentication',
				what: `The proxy on the way to ${host} demands authentication (407, ${schemes.join(', ') || 'no scheme'})`,
				hint: "Where it takes Kerberos, set 'proxy' in the options of a rule with the strategy 'kerberos'",
			}),
		];
	}
	if (status === 429) {
		return [
			diagnostic({
				code: 'too-many-requests',
				what: `${host} answered 429: it had too many requests${after(headers)}`,
				hint: 'Send fewer, and wait as long as it says',
			}),
		];
	}
	if (status >= 500) {
		return [
			diagnostic({
				code: 'server-failed',
				what: `${host} answered ${status}: it failed, and says nothing against the credential`,
				hint: 'Try again later, and tell whoever runs the server if it lasts',
			}),
		];
	}
	if (status === 404 || status === 405 || status === 410) {
		return [
			warning({
				code: 'address-wrong',
				what: `${host} answered ${status} to ${subject.method} ${subject.url.pathname}`,
				hint: 'Check the path and the method, unless the page shows itself only to whoever has another credential',
			}),
		];
	}
	return [
		warning({
			code: 'request-not-accepted',
			what: `${host} answered ${status} to ${subject.method} ${subject.url.pathname}`,
			hint: 'Look at the body of the answer: the request itself may be at fault, not the credential',
		}),
	];
}

function after(headers: Answer['headers']): string {
	const value = headers['retry-after'];
	return value !== undefined && /^[\w:, +-]{1,40}$/.test(value)
		? `, and says to come back after ${value}`
		: '';
}

function explainRefusal(subject: Subject, answer: Answer): Diagnostic {
	const {rule, url} = subject;
	const {status, headers, authorization} = answer;
	const challenges = parseChallenges(headers['www-authenticate']);
	if (rule === undefined) {
		const found = noRule(subject);
		return diagnostic({...found, what: `${url.host} answered ${status}. ${found.what}`});
	}
	if (rule.info.strategy.startsWith('kerberos')) return explainNegotiateRefusal(subject, answer, challenges);
	if (/^(?:Bearer|DPoP) /i.test(authorization ?? '')) return explainTokenRefusal(subject, answer, challenges);
	return explainOtherRefusal(subject, status, challenges);
}

function explainOtherRefusal(
	{rule, url, known}: Subject,
	status: number,
	challenges: readonly Challenge[],
): Diagnostic {
	const {strategy = '', match = '', source = ''} = rule?.info ?? {};
	const shown =
		known.identity === undefined ? `what the strategy '${strategy}' shows` : known.identity.subject;
	if (status === 403) {
		return diagnostic({
			code: 'access-denied',
			what: `${url.host} answered 403 to ${shown} (rule for ${match}, ${source}): it most likely knows who asks, and does not allow it`,
			hint: `Ask whoever runs the server to let ${known.identity?.subject ?? 'this credential'} do it, or use another one`,
		});
	}
	const wanted = challenges.map(({scheme}) => scheme).join(', ');
	return diagnostic({
		code: 'credential-refused',
		what: `${url.host} answered 401 to ${shown} (rule for ${match}, ${source})${wanted === '' ? '' : `; it takes ${wanted}`}`,
		hint: 'Use a credential that the server takes, and the strategy for it',
	});
}

/** nginx lets the handshake pass and says afterwards, by a page and a status, what it minds (495 and 496 in its log). */
function explainCertificatePage({url, known}: Subject, {status, body}: Answer): Diagnostic | undefined {
	if (status !== 400 && status !== 495 && status !== 496) return undefined;
	const {identity} = known;
	if (status === 496 || /No required SSL certificate was sent/i.test(body)) {
		return diagnostic({
			code: 'client-certificate-demanded',
			what: `${url.host} demands a client certificate and got none (it says so by a page of status ${status})`,
			hint: "Give the host a rule with the strategy 'grid-certificate'",
		});
	}
	if (status !== 495 && !/The SSL certificate error/i.test(body)) return undefined;
	const [doubt] = identity?.warnings ?? [];
	const file = identity?.files.certificate ?? 'the client certificate';
	const told = `${url.host} refused the client certificate ${file} (it says so by a page of status ${status})`;
	if (doubt !== undefined) return diagnostic({...doubt, severity: 'error', what: `${told}. ${doubt.what}`});
	const accepted = known.acceptedAuthorities ?? [];
	if (identity !== undefined && accepted.length > 0 && !accepted.includes(identity.issuer)) {
		return diagnostic({
			code: 'client-certificate-authority-unknown',
			what: `${told}: it accepts those of ${accepted.slice(0, 3).join(' and of ')}, and this one was issued by ${identity.issuer}`,
			hint: 'Use a certificate of a CA that it accepts, or append the certificates between',
		});
	}
	return diagnostic({
		code: 'client-certificate-refused',
		what: told,
		hint: 'The log of the server has the reason: a revocation, another CA, or a chain that is not complete',
	});
}
