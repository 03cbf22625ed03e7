/** What a trust store is: CA certificates, and what is checked of a chain beyond what OpenSSL verifies. */

import {X509Certificate} from 'node:crypto';
import type {DetailedPeerCertificate, PeerCertificate} from 'node:tls';
import type {Diagnostic} from '../diagnostics/diagnostic.ts';
import type {CertificateError} from '../errors.ts';
import type {TrustPurpose} from '../x509/trust-settings.ts';
import type {FollowedChain} from './chain.ts';
import type {ChainFault} from './fault.ts';

/** What a trust store says of a chain. */
export interface ChainVerdict extends FollowedChain {
	/** Whether any certificate of it is revoked; `unknown` where a CA has no list. */
	readonly revocation: 'good' | 'revoked' | 'unknown';
	/** All that speaks against it, the leaf's first. */
	readonly faults: readonly ChainFault[];
}

/** Whether a server's certificate is for its name: `tls.checkServerIdentity`, or what takes its place. */
export type CheckNames = (host: string, peer: PeerCertificate) => Error | undefined;

/** Options of a TLS connection. */
export interface TrustOptions {
	/** In PEM. */
	readonly ca: string[];
	/** Absent: there is no more to check. */
	readonly checkServerIdentity?: CheckNames;
}

/** CA certificates for some servers. One object for one entry of the configuration, so it serves as a key. */
export interface TrustStore {
	/** `file:line` of the entry. */
	readonly source: string;
	/** PEM files, hashed CA folders, and `system`. */
	readonly files: readonly string[];
	/** Whether it leaves the system's roots and Node's out. */
	readonly only?: boolean;
	/**
	 * A number that is another one when the CA certificates are others. The files are looked at once a second at most;
	 * where they cannot be used now, those from before stay in use.
	 *
	 * @throws {CertificateError} where they never could.
	 */
	version(): number;
	/** All certificates, in PEM, the system's and Node's among them unless the entry leaves them out. */
	certificates(): readonly string[];
	/** Whether more is checked of a chain than its signatures: then no TLS session may be resumed, which skips that. */
	readonly checksChains: boolean;
	/** The check of a server's name, where it is another than Node's. */
	readonly checkNames?: CheckNames;
	/** Whether revocation lists can be fetched. Then {@link TrustStore.prepare} is worth waiting for. */
	readonly fetchesLists: boolean;
	/**
	 * For connections that others open: the certificates, and the check of the server's chain.
	 *
	 * @param checkNames the caller's own check, which takes the place of that for names only.
	 */
	tlsOptions(checkNames?: CheckNames): TrustOptions;
	/** Fetch the revocation lists that a chain needs, where they are to be had. Never rejects. */
	prepare(leaf: X509Certificate, others: readonly X509Certificate[]): Promise<void>;
	/** What speaks against the certificate of a server that OpenSSL has verified. */
	checkServer(
		host: string,
		leaf: X509Certificate,
		others: readonly X509Certificate[],
	): CertificateError | undefined;
	/**
	 * Judge any chain, also of a client or a proxy: the leaf first, what is missing is taken from the trust store.
	 *
	 * @param settings `ownOnly`: leave the system's roots and Node's out, which take their time to read. `purpose`: whose
	 * chain it is; default: a server's.
	 */
	verifyChain(
		chain: readonly X509Certificate[],
		settings?: {ownOnly?: boolean; purpose?: TrustPurpose},
	): ChainVerdict;
	/** Whether a certificate is among those of the entry itself. */
	holds(certificate: X509Certificate): boolean;
	/** Mistakes in the files that no connection has met yet. */
	problems(): readonly Diagnostic[];
}

/** The certificates that a server has sent, its own first. Node links them; the last one is its own issuer. */
export function chainOfPeer(peer: PeerCertificate): X509Certificate[] {
	const chain: X509Certificate[] = [];
	const seen = new Set<unknown>();
	let at: Partial<DetailedPeerCertificate> | undefined = peer as DetailedPeerCertificate;
	while (at?.raw !== undefined && !seen.has(at)) {
		seen.add(at);
		chain.push(new X509Certificate(at.raw));
		at = at.issuerCertificate;
	}
	return chain;
}
