/** Says in words why a TLS connection failed: a server that no CA vouches for, or one that refused our certificate. */
import {X509Certificate} from 'node:crypto';
import {CertificateError} from '../errors.ts';
import type {Identity} from '../strategy/services.ts';
import type {TrustStore} from '../trust/trust-stores.ts';
import {orderChain} from '../x509/own-chain.ts';
import {certificatesBehind} from './peer-certificates.ts';
import {RefusedConnection} from './rejections.ts';
import {explainServerFault, type ServerChain} from './server-faults.ts';

/** What a server says by an alert (RFC 8446 section 6.2) when it refuses a client certificate, by its number. */
const alerts = new Map([
	[40, 'it got none that it accepts, or has no TLS version or cipher in common with this machine'],
	[42, 'it takes it for damaged, or does not accept it'],
	[43, 'it does not accept its kind: it is not for clients, or has a key that the server does not support'],
	[44, 'it takes it for revoked'],
	[45, 'it takes it, or a revocation list of its own, for expired'],
	[46, 'it does not accept it, and does not say why'],
	[48, 'it does not know the CA that issued it'],
	[49, 'its owner has no access'],
	[51, 'it could not verify the signature made with its key'],
	[116, 'it demands one and got none'],
]);

/** By these a server may also mean that it accepts no proxies. OpenSSL says 46 then. */
const meantForProxies: readonly unknown[] = [42, 43, 46, 48];

/** How a server ended a connection: by an alert, or by breaking it off. */
type Ending = number | 'broken off';

/** An error of Node's, or got's own with what Node said as its cause. */
interface Failure extends Error {
	readonly code?: string;
	/** got's. */
	readonly options?: {readonly url?: unknown};
}

/** A `CertificateError` for a failure that is one; `undefined` for any other. */
export function explainTlsFailure(
	error: Failure,
	trust: TrustStore | undefined,
	shown: Identity | undefined,
	url: unknown = error.options?.url,
): CertificateError | undefined {
	const refused = explainServerRefusal(error, trust, url);
	if (refused !== undefined) return refused;
	const host = hostOf(url);
	const ending = endingOf(error);
	if (ending === undefined) return undefined;
	const what =
		shown === undefined
			? 'no client certificate was shown'
			: `${shown.files.certificate} (${shown.subject}) was shown`;
	return new CertificateError(
		`${host} refused the client certificate: ${reasonOf(ending, shown)}; ${what}. ${hintOf(ending, shown)}`,
		{cause: error},
	);
}

/** A `CertificateError` where OpenSSL has refused the server's certificate; `undefined` for any other failure. */
export function explainServerRefusal(
	error: Failure,
	trust: TrustStore | undefined,
	url: unknown,
): CertificateError | undefined {
	const host = hostOf(url);
	const fault = explainServerFault(error, chainBehind(error, host, trust));
	if (fault === undefined) return undefined;
	const place =
		trust === undefined || trust.files.length === 0
			? "the system's CA certificates"
			: `the CA certificates of ${trust.source} (${trust.files.join(', ')})`;
	return new CertificateError(
		`${host} cannot be trusted: ${fault.what}. It was verified against ${place}. ${fault.hint}`,
		{cause: error},
	);
}

function hostOf(url: unknown): string {
	return url instanceof URL ? url.host : 'the server';
}

/** The chain of the server on the connection that failed, as far as it is known. */
function chainBehind(error: Failure, host: string, trust: TrustStore | undefined): ServerChain {
	const sent = certificatesBehind(error);
	const {cert} = (error.cause ?? error) as {readonly cert?: {readonly raw?: Buffer}};
	const [leaf, ...others] =
		sent.length > 0 || cert?.raw === undefined ? sent : [new X509Certificate(cert.raw)];
	const isTrusted = (certificate: X509Certificate): boolean => trust?.holds(certificate) ?? false;
	if (leaf === undefined) return {host, path: [], isTrusted};
	const path = orderChain([leaf, ...others], leaf);
	const last = path.at(-1) as X509Certificate;
	if (trust === undefined) return {host, path, isTrusted};
	try {
		const {path: above, end} = trust.verifyChain([last]);
		return {
			host,
			path: [...path, ...above.slice(1)],
			isTrusted,
			rejected: end === 'rejected' ? above.at(-1) : undefined,
		};
	} catch {
		return {host, path, isTrusted};
	}
}

/** Whether a connection failed because the server refused the client certificate, or demanded one. */
export function isRefusal(error: Failure): boolean {
	return endingOf(error) !== undefined;
}

function endingOf(error: Failure): Ending | undefined {
	const {code, cause, message} = error;
	// Errors of browsers' kind have a number there.
	if (typeof code !== 'string') return undefined;
	if (!code.startsWith('ERR_SSL_') && code !== 'EPROTO') return undefined;
	if (error instanceof RefusedConnection || cause instanceof RefusedConnection) return 'broken off';
	// The number is the same in all versions of TLS and of OpenSSL; the name is not.
	const alert = Number(/SSL alert number (\d+)/.exec(message)?.[1]);
	return alerts.has(alert) ? alert : undefined;
}

function reasonOf(ending: Ending, shown: Identity | undefined): string {
	if (ending === 'broken off') {
		return shown === undefined
			? 'it asked for one, and broke the connection off when it got none'
			: 'it broke the connection off when it had seen it, most likely because it does not accept it';
	}
	const reason = alerts.get(ending) as string;
	return isAboutProxies(ending, shown) ? `${reason}; most likely it accepts no proxies` : reason;
}

/** By these a server says that time has run out, which has nothing to do with what a certificate is for. */
const aboutTime: readonly unknown[] = [44, 45];

function hintOf(ending: Ending, shown: Identity | undefined): string {
	if (shown === undefined) return "Give the host a rule with the strategy 'grid-certificate'";
	// What was known to speak against it is the most likely reason.
	const [warning] = shown.warnings ?? [];
	if (warning !== undefined && !aboutTime.includes(ending)) return warning;
	if (isAboutProxies(ending, shown)) {
		return "Show the certificate that the proxy was made from, or ask the server's operator to allow proxies";
	}
	if (ending === 48) {
		return `If the server knows the CA above ${shown.issuer}, append the certificates between to the file; else use one of a CA that it knows`;
	}
	if (ending === 45) {
		const end = new Date(shown.notAfter).toISOString();
		return `It is valid until ${end}; ask the server's operator about its clock and its revocation lists`;
	}
	return 'Use a certificate that the server accepts';
}

function isAboutProxies(ending: Ending, shown: Identity | undefined): boolean {
	return shown?.kind === 'proxy' && (ending === 'broken off' || meantForProxies.includes(ending));
}
