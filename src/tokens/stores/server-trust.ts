/** What the server of a token store is verified by. */
import type {PeerCertificate} from 'node:tls';

/** Options of a TLS connection. */
export interface ServerTrust {
	/** CA certificates in PEM. */
	readonly ca: string[];
	/** Checks of the server's certificate besides those of OpenSSL. */
	readonly checkServerIdentity?: (host: string, certificate: PeerCertificate) => Error | undefined;
}
