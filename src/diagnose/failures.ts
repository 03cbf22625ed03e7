/** What an error of a stage says, as diagnostics: gatepass's own, those of TLS, and those of the network. */
import type {DiagnosticCode} from '../diagnostics/codes.ts';
import {type Diagnostic, diagnostic} from '../diagnostics/diagnostic.ts';
import {GatepassError} from '../errors.ts';
import {explainTlsFailure} from '../tls/explain.ts';
import type {Subject} from './stage.ts';

/** By Node's code: what it means for a host and port, and what to do. */
const networkFailures: Readonly<Record<string, readonly [DiagnosticCode, string, string]>> = {
	ECONNREFUSED: [
		'server-unreachable',
		'refuses connections: nothing listens there, or a firewall says so',
		'Check the host and port, and whether the server runs',
	],
	ENOTFOUND: ['server-name-unknown', 'has no address: there is no host of that name', 'Check the URL'],
	EAI_AGAIN: [
		'name-server-silent',
		'cannot be looked up: the name server does not answer',
		'Check the network, and the name servers in /etc/resolv.conf',
	],
	ETIMEDOUT: [
		'server-silent',
		'does not answer in time',
		'Check the network, and whether a firewall is in between',
	],
	EHOSTUNREACH: ['server-unreachable', 'cannot be reached: there is no way to the host', 'Check the network'],
	ENETUNREACH: [
		'server-unreachable',
		'cannot be reached: there is no way to its network',
		'Check the network',
	],
	ECONNRESET: [
		'connection-lost',
		'ended the connection without an answer',
		'Try again; if it lasts, look into its log, and whether something in between ends connections',
	],
	EPIPE: [
		'connection-lost',
		'ended the connection while it was written to',
		'Try again, or look into its log',
	],
	EPROTO: [
		'server-speaks-no-tls',
		'does not speak TLS, or another kind of it',
		'Check the port: plain http may be spoken there',
	],
	HPE_INVALID_CONSTANT: [
		'server-speaks-no-http',
		'answered with something that is no HTTP',
		'Check the port: another protocol, or TLS, may be spoken there',
	],
};

/** TLS that could not begin, by OpenSSL's words. */
const noTls =
	/wrong version number|packet length too long|unknown protocol|http request|record layer failure/i;

export function diagnosticsOf(
	error: Error,
	{url, route, known}: Pick<Subject, 'url' | 'route' | 'known'>,
): readonly Diagnostic[] {
	if (error instanceof GatepassError) return error.diagnostics;
	const explained =
		url.protocol === 'https:' ? explainTlsFailure(error, route?.trust, known.identity, url) : undefined;
	if (explained !== undefined) return explained.diagnostics;
	return [ofNetwork(error, url.host)];
}

/** @param place host and port, as in a URL. */
export function ofNetwork(error: Error & {code?: string}, place: string): Diagnostic {
	const {code = '', name, message} = error;
	const isLate = name === 'TimeoutError' || code === 'ERR_PROXY_TUNNEL_TIMEOUT';
	const isNoTls = noTls.test(message);
	const isNoHttp = code.startsWith('HPE_');
	const key = isLate ? 'ETIMEDOUT' : isNoTls ? 'EPROTO' : isNoHttp ? 'HPE_INVALID_CONSTANT' : code;
	const [known, what, hint] = networkFailures[key] ?? [
		'server-unreachable' as const,
		`cannot be spoken to (${code || name})`,
		'Check the URL, the network, and whether the server runs',
	];
	return diagnostic({code: known, what: `${place} ${what}`, hint});
}
