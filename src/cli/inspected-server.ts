/** What `gatepass cert inspect` sees of a server: the chain that it shows, and whether a trust store believes it. */
import {once} from 'node:events';
import {isIP} from 'node:net';
import {setTimeout as pause} from 'node:timers/promises';
import {type ConnectionOptions, connect, type TLSSocket} from 'node:tls';
import {CertificateError, GatepassError} from '../errors.ts';
import {explainServerRefusal} from '../tls/explain.ts';
import {answerFromX509, certificatesOf, checkNames} from '../tls/peer-certificates.ts';
import type {TrustStore} from '../trust/trust-store.ts';
import {orderChain} from '../x509/own-chain.ts';
import type {Inspected} from './inspected-files.ts';

/** Milliseconds for a server to show its certificate. */
const timeout = 10_000;

/** The chain that a server shows. Nothing is sent to it, so nothing has to be believed of it yet. */
export async function inspectServer(url: URL): Promise<Inspected> {
	if (url.protocol !== 'https:') {
		throw new GatepassError(`${url.origin} shows no certificate: only https does. Name its https address`);
	}
	const socket = open(url, {rejectUnauthorized: false});
	try {
		const [leaf, ...sent] = await shown(socket, url);
		if (leaf === undefined) throw new GatepassError(`${url.origin} showed no certificate. Check the server`);
		const host = hostOf(url);
		const problems =
			checkNames(host, leaf) === undefined
				? []
				: [`Its certificate is not for ${host}. Use a name that it is for, or have it issued for this one`];
		const [, ...issuers] = orderChain([leaf, ...sent], leaf);
		const others = sent.length - issuers.length;
		return {
			source: url.origin,
			chain: [leaf, ...issuers],
			otherIdentities: [],
			others,
			problems,
			warnings: [],
		};
	} finally {
		socket.destroy();
	}
}

/**
 * What a request would say of the server's chain under a trust store; `undefined`: it is believed. OpenSSL looks at much
 * that nobody else does, so it is asked, by a connection on which nothing is sent. Names are no part of it.
 */
export async function refusalOf(url: URL, trust: TrustStore): Promise<CertificateError | undefined> {
	const anyName = (): undefined => undefined;
	const socket = open(url, {checkServerIdentity: anyName, ...trust.tlsOptions(anyName)});
	try {
		await handshake(socket, url);
		return undefined;
	} catch (error) {
		if (error instanceof CertificateError) return error;
		return explainServerRefusal(error as Error, trust, url);
	} finally {
		socket.destroy();
	}
}

function open(url: URL, options: ConnectionOptions): TLSSocket {
	const host = hostOf(url);
	const socket = connect({
		host,
		port: Number(url.port || 443),
		...(isIP(host) === 0 && {servername: host}),
		ALPNProtocols: ['http/1.1'],
		...options,
	});
	answerFromX509(socket);
	return socket;
}

function hostOf({hostname}: URL): string {
	return hostname.replace(/^\[|\]$/g, '');
}

async function shown(socket: TLSSocket, url: URL): Promise<ReturnType<typeof certificatesOf>> {
	try {
		await handshake(socket, url);
	} catch (error) {
		// A server that demands a client certificate ends a handshake without one, but has shown its own by then.
		if (certificatesOf(socket).length === 0) throw error;
	}
	return certificatesOf(socket);
}

async function handshake(socket: TLSSocket, url: URL): Promise<void> {
	const late = new AbortController();
	try {
		await Promise.race([
			once(socket, 'secureConnect'),
			pause(timeout, undefined, {signal: late.signal}).then(() => {
				throw new GatepassError(`${url.origin} did not answer in ${timeout / 1000} seconds. Try again`);
			}),
		]);
	} finally {
		late.abort();
	}
}
