/**
 * Reads why a server refused a ticket, from the token of its 401: a KRB-ERROR (RFC 4120 section 5.9.1) in the frame of
 * RFC 4121, with or without that of SPNEGO around it. Nobody vouches for it, so it is for people to read only.
 *
 * The libraries would say it too, but Heimdal's not through SPNEGO, and MIT's then counts its codes anew.
 */
import {generalFailure, minorOf, nameOf} from './codes.ts';
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
	const fields = inside(inside(bytes.subarray(start + frame.length), krbError), sequence);
	const value = inside(inside(fields, errorCode), integer);
	if (value === undefined || value.length === 0 || value.length > 4) return undefined;
	const code = value.readIntBE(0, value.length);
	return {
		phase: 'context',
		text: `the server says ${nameOf(code)} (${code})`,
		major: generalFailure,
		minor: minorOf(code),
	};
}

/** What is in the first element with the tag (X.690 section 8.1); `undefined` where there is none, or it is cut off. */
function inside(bytes: Buffer | undefined, tag: number): Buffer | undefined {
	let rest = bytes;
	while (rest !== undefined && rest.length >= 2) {
		const [header, length] = lengthOf(rest);
		const end = header + length;
		if (end > rest.length) return undefined;
		if (rest[0] === tag) return rest.subarray(header, end);
		rest = rest.subarray(end);
	}
	return undefined;
}

/** How many bytes come before the contents, and how many are in them. */
function lengthOf(element: Buffer): [header: number, length: number] {
	const first = element.readUInt8(1);
	if (first < 0x80) return [2, first];
	const size = first & 0x7f;
	// No token has more than 65,535 bytes; without a length (0x80) it is not DER.
	if (size === 0 || size > 2 || element.length < 2 + size) return [2, Number.POSITIVE_INFINITY];
	return [2 + size, element.readUIntBE(2, size)];
}
