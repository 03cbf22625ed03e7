/**
 * What a connection that somebody else opens is to have for TLS: the client certificate, and all that decides whether
 * the server is believed. Spread over settings of the caller's own, nothing of theirs has a say in that.
 */
import {isIP} from 'node:net';
import {checkServerIdentity, type PeerCertificate} from 'node:tls';
import type {Route} from '../hop/request.ts';
import type {Identity} from '../strategy/index.ts';

/** Options of a TLS connection. May hold a private key. */
export interface TlsMaterial {
	/** In PEM, with its chain. */
	readonly cert?: string;
	/** In PEM. */
	readonly key?: string;
	/** In PEM; `undefined`: Node's own. */
	readonly ca?: string[] | undefined;
	/** Said aloud, since the environment or an agent could switch it off. */
	readonly rejectUnauthorized: true;
	/** The name that is looked for in the certificate; empty for an address, which is no server name. */
	readonly servername: string;
	/** As `tls.connect` takes it. */
	readonly checkServerIdentity: (host: string, certificate: PeerCertificate) => Error | undefined;
	/** Would bring CA certificates of its own. */
	readonly secureContext?: undefined;
	/** Would vouch for a server that was verified otherwise. */
	readonly session?: undefined;
	/** Would take the place of a certificate. */
	readonly pskCallback?: undefined;
	/** Would believe what stands in the middle of a chain. */
	readonly allowPartialTrustChain?: undefined;
}

/** For one leg; `undefined` where gatepass has nothing to say of the connection. */
export function tlsMaterialFor(
	route: Route | undefined,
	{protocol, hostname}: URL,
	identity: Identity | undefined,
): TlsMaterial | undefined {
	const {rule, trust} = route ?? {};
	if (protocol !== 'https:' || (rule === undefined && trust === undefined)) return undefined;
	return {
		...identity?.material(),
		ca: undefined,
		checkServerIdentity,
		...trust?.tlsOptions(),
		rejectUnauthorized: true,
		// RFC 6066 section 3: an address is no server name.
		servername: isIP(hostname.replace(/^\[(.*)\]$/, '$1')) === 0 ? hostname : '',
		secureContext: undefined,
		session: undefined,
		pskCallback: undefined,
		allowPartialTrustChain: undefined,
	};
}
