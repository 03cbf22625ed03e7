/**
 * Reads why a server refused a ticket, from the token of its 401: a KRB-ERROR (RFC 4120 section 5.9.1) in the frame of
 * RFC 4121, with or without that of SPNEGO around it. Nobody vouches for it, so it is for people to read only.
 *
 * The libraries would say it too, but Heimdal's not through SPNEGO, and MIT's then counts its codes again.
 */
import {generalFailure, minorOf, nameOf} from './codes.ts';
import {contentsOf, fieldsOf, readElement} from './der.ts';
import type {Failure} from './gss-messages.ts';

/** The object identifier of Kerberos, and the token's kind: KRB_ERROR (RFC 4121 section 4.1). */
const frame = Buffer.from('06092a864886f7120102020300', 'hex');
/** Tags in DER: KRB-ERROR is [APPLICATION 30], its error-code is [6]. */
const [krbError, sequence, errorCode, integer] = [0x7e, 0x30, 0xa6, 0x02];

/** `undefined` where the token is something else. */
export function refusalIn(token: Uint8Array): Failure | undefined {
	const bytes = Buffer.from(token.buffer, token.byteOffset, token.byteLength);
	const start = bytes.indexOf(frame);
	if (start < 0) return undefined;
	const error = readElement(bytes.subarray(start + frame.length));
	const fields = error?.tag === krbError ? fieldsOf(contentsOf(error.contents, sequence)) : undefined;
	const value = contentsOf(fields?.get(errorCode), integer);
	if (value === undefined || value.length === 0 || value.length > 4) return undefined;
	const code = value.readIntBE(0, value.length);
	return {
		phase: 'context',
		text: `the server says ${nameOf(code)} (${code})`,
		major: generalFailure,
		minor: minorOf(code),
	};
}
