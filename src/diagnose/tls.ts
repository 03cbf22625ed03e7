/**
 * The sixth stage: the TLS handshake, made as a request makes it: by the trust store of the host, with the identity of
 * the rule. Tells what the server is and what it asks for, which certificate it was shown, and how it took that.
 */

import {X509Certificate} from 'node:crypto';
import type {Agent} from 'node:https';
import {isIP} from 'node:net';
import {TLSSocket} from 'node:tls';
import {type Diagnostic, diagnostic} from '../diagnostics/diagnostic.ts';
import type {Evidence, Identity} from '../strategy/index.ts';
import {TlsAgents} from '../tls/agents.ts';
import {explainTlsFailure} from '../tls/explain.ts';
import {certificatesBehind, certificatesOf} from '../tls/peer-certificates.ts';
import {rfc2253Issuer, rfc2253Subject} from '../x509/names.ts';
import {pemBlocks} from '../x509/pem.ts';
import {askedOfClients, type CertificateWish} from './certificate-wish.ts';
import {diagnosticsOf} from './failures.ts';
import {type Found, placeOf, type Subject} from './stage.ts';

/** Milliseconds for a handshake. */
const patience = 10_000;
/** Milliseconds for a server of TLS 1.3 to say that it does not take a certificate: it has been seen by then. */
const secondThoughts = 700;
/** Names of CAs that are told; a server of the grid has over a hundred. */
const mostNames = 200;

export async function lookAtTls(subject: Subject, signal: AbortSignal): Promise<Found> {
	const {url, route, known, way} = subject;
	if (url.protocol !== 'https:') return {skipped: 'plain http has none'};
	const isThroughWay = known.proxy !== undefined && way?.proxyFor(url) !== undefined;
	// A tunnel of the strategy's own has a conversation, which comes with the request.
	if (known.proxy !== undefined && !isThroughWay) {
		return {skipped: "it is spoken through the rule's proxy, with the request"};
	}
	const agents = new TlsAgents({keepSessions: false});
	try {
		const agent = agents.for(known.identity, route?.trust, isThroughWay ? {way} : {});
		const outcome = await shakeHands(agent, url, signal);
		const tunnel = isThroughWay && outcome.leaf !== undefined ? way?.open(placeOf(url)) : undefined;
		const wish = await askedOfClients(url, signal, await tunnel?.catch(() => undefined));
		known.acceptedAuthorities = wish?.authorities ?? [];
		if (outcome.leaf !== undefined) known.serverCertificate = outcome.leaf;
		const evidence = {...outcome.evidence, ...describeWish(wish, known.identity)};
		if (outcome.error === undefined) return {evidence};
		return {evidence, diagnostics: whyRefused(outcome.error, wish, subject)};
	} finally {
		agents.close();
	}
}

interface Outcome {
	readonly evidence: Evidence;
	readonly leaf?: X509Certificate | undefined;
	readonly error?: Error;
}

/** Resolves in any case, with what the connection ended by. */
function shakeHands(agent: Agent, url: URL, signal: AbortSignal): Promise<Outcome> {
	const {host, port} = placeOf(url);
	const begun = performance.now();
	return new Promise(resolve => {
		let isOver = false;
		let socket: TLSSocket | undefined;
		const settle = (error?: Error): void => {
			if (isOver) return;
			isOver = true;
			clearTimeout(timer);
			signal.removeEventListener('abort', stop);
			const [leaf] = socket === undefined ? [] : certificatesOf(socket);
			const behind = error === undefined ? [] : certificatesBehind(error);
			resolve({
				evidence: {...describe(socket, behind), ...(error !== undefined && {ended: endOf(error)})},
				leaf: leaf ?? behind[0],
				...(error !== undefined && {error}),
			});
			socket?.on('error', () => {}).destroy();
		};
		const late = (): void => settle(Object.assign(new Error('no answer'), {code: 'ETIMEDOUT'}));
		const stop = (): void => settle(signal.reason as Error);
		const timer = setTimeout(late, patience);
		signal.addEventListener('abort', stop, {once: true});
		const connected = (made: TLSSocket): void => {
			socket = made;
			made.on('error', settle);
			// A ticket comes once the server has accepted all; most send none before the first request is through.
			made.once('session', () => settle());
			const wantsMore = made.getProtocol() === 'TLSv1.3' && (made.getSharedSigalgs() ?? []).length > 0;
			setTimeout(settle, wantsMore ? secondThoughts : 0);
			made.once('close', () => settle());
		};
		const whenConnected = (opened: TLSSocket): void => {
			if (socket !== undefined) return;
			socket = opened;
			opened.on('error', settle);
			// One that waited for revocation lists comes with its handshake, one through a tunnel before it.
			if (opened.getFinished() !== undefined) connected(opened);
			else opened.once('secureConnect', () => connected(opened));
		};
		try {
			const options = {host, port, servername: isIP(host) === 0 ? host : '', ALPNProtocols: ['http/1.1']};
			const created = (error: Error | null, made?: unknown): void => {
				if (error !== null && error !== undefined) settle(error);
				else if (made instanceof TLSSocket) whenConnected(made);
			};
			const opening = agent.createConnection(options as never, created as never);
			// One that waits for revocation lists is handed over when it is verified.
			if (!(opening instanceof TLSSocket)) return;
			whenConnected(opening);
		} catch (error) {
			settle(error as Error);
		}
		const made = performance.now() - begun;
		if (made > patience) late();
	});
}

function describe(socket: TLSSocket | undefined, behind: readonly X509Certificate[]): Evidence {
	const sent = socket === undefined ? [] : certificatesOf(socket);
	const [leaf, ...others] = sent.length > 0 ? sent : behind;
	const protocol = socket?.getProtocol();
	const cipher = socket?.getCipher()?.name;
	return {
		...(protocol != null && {version: protocol}),
		...(cipher !== undefined && cipher !== '(NONE)' && {cipher}),
		...(leaf !== undefined && {
			server: `${rfc2253Subject(leaf)}, by ${rfc2253Issuer(leaf)}, until ${leaf.validToDate.toISOString()}`,
			names: leaf.subjectAltName ?? '',
		}),
		...(others.length > 0 && {chain: others.map(one => rfc2253Subject(one))}),
	};
}

/** What OpenSSL says of an alert, without the place in its source. */
function endOf(error: Error & {code?: string; reason?: string}): string {
	const number = /SSL alert number (\d+)/.exec(error.message)?.[1];
	const words = error.reason ?? error.code ?? error.name;
	return number === undefined ? words : `alert ${number} (${words})`;
}

function describeWish(wish: CertificateWish | undefined, identity: Identity | undefined): Evidence {
	const shown = identity === undefined ? 'none' : `${identity.files.certificate} (${identity.subject})`;
	if (wish === undefined) return {'client certificate asked for': false};
	return {
		'client certificate asked for': true,
		'client certificate shown': shown,
		'authorities accepted':
			wish.authorities.length === 0 ? 'the server does not say' : wish.authorities.slice(0, mostNames),
	};
}

/** Where the server says whom it accepts, that tells more than how it refused. */
function whyRefused(
	error: Error,
	wish: CertificateWish | undefined,
	subject: Subject,
): readonly Diagnostic[] {
	const {known, route, url} = subject;
	const told = diagnosticsOf(error, subject);
	const {identity} = known;
	if (identity === undefined || wish === undefined || wish.authorities.length === 0) return told;
	const isRefused = explainTlsFailure(error, route?.trust, identity, url) !== undefined;
	const [known0] = told;
	if (!isRefused || known0 === undefined || !known0.code.startsWith('client-certificate-refused'))
		return told;
	const issuers = pemBlocks(Buffer.from(identity.material().cert)).map(({base64}) =>
		rfc2253Issuer(new X509Certificate(Buffer.from(base64, 'base64'))),
	);
	if (issuers.some(issuer => wish.authorities.includes(issuer))) return told;
	return [
		diagnostic({
			code: 'client-certificate-authority-unknown',
			what: `${url.host} refused the client certificate ${identity.files.certificate}: it accepts those of ${wish.authorities.slice(0, 3).join(' and of ')}${wish.authorities.length > 3 ? ' and of others' : ''}, and it was issued by ${identity.issuer}`,
			hint: 'Use a certificate of a CA that it accepts, or append the certificates between',
		}),
		...told,
	];
}
