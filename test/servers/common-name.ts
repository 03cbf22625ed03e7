/** Whose certificate the other side of a connection has shown. */
import type {TLSSocket} from 'node:tls';
import {subjectValues} from '../../src/x509/names.ts';

/** The common name; `undefined` where there is no certificate, or no TLS. */
export function commonNameOf(socket: Partial<Pick<TLSSocket, 'getPeerX509Certificate'>>): string | undefined {
	const certificate = socket.getPeerX509Certificate?.();
	return certificate === undefined ? undefined : subjectValues(certificate, 'CN')[0];
}
