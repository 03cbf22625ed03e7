/** Why a server does not take a Kerberos ticket, where the token of its answer does not say so. */
import {type Diagnostic, diagnostic} from '../diagnostics/diagnostic.ts';
import type {Challenge} from '../strategy/challenges.ts';
import type {Answer, Subject} from './stage.ts';

export function explainNegotiateRefusal(
	{url, rule}: Subject,
	{status, authorization}: Answer,
	challenges: readonly Challenge[],
): Diagnostic {
	const {match = '', source = ''} = rule?.info ?? {};
	const place = `${url.host} answered ${status} (rule for ${match}, ${source})`;
	const offered = challenges.map(({scheme}) => scheme);
	const negotiate = challenges.find(({scheme}) => scheme.toLowerCase() === 'negotiate');
	const wasShown = /^Negotiate /i.test(authorization ?? '');
	const {channelBindings} = (rule?.rule.options ?? {}) as {channelBindings?: unknown};
	if (status === 403) {
		return diagnostic({
			code: 'access-denied',
			what: `${place}: it most likely knows who asks, and does not allow it`,
			hint: 'Ask whoever runs the server to let this principal do it',
		});
	}
	if (negotiate === undefined) {
		return diagnostic({
			code: 'credential-refused',
			what: `${place} without offering Negotiate, which the strategy 'kerberos' speaks; it offers ${offered.join(', ') || 'nothing'}`,
			hint: 'Use the strategy for what it offers, or check the URL: another server may answer there',
		});
	}
	if (negotiate.token.startsWith('TlRM')) return speaksNtlm(place);
	if (wasShown && channelBindings === false && url.protocol === 'https:') {
		return diagnostic({
			code: 'channel-bindings-demanded',
			what: `${place} to a ticket that is not tied to the TLS connection, as the rule says 'channelBindings: false'; servers may demand that it is (Extended Protection)`,
			hint: "Take 'channelBindings: false' out",
		});
	}
	return diagnostic({
		code: 'kerberos-token-refused',
		what: `${place} to the ticket, and does not say why`,
		hint: "Get new tickets; else look into the server's log: its key table, its clock or its realm may be at fault",
	});
}

function speaksNtlm(place: string): Diagnostic {
	return diagnostic({
		code: 'kerberos-fell-back-to-ntlm',
		what: `${place} with a token of NTLM, which is not Kerberos: it found no key for the service that the ticket is for`,
		hint: "Have the service principal made for the host of the URL, or set 'hostname' to the one there is",
	});
}
