/**
 * Looks through a server's token before the library gets it: what it is framed in, not what is sealed. Heimdal takes a
 * token without the right frame for one, reads memory that holds nothing, and may end the whole process.
 */
import {contentsOf, fieldsOf} from './der.ts';

/** RFC 2743 section 3.1, RFC 4178 section 4.2. */
const tags = {
	token: 0x60,
	response: 0xa1,
	sequence: 0x30,
	state: 0xa0,
	responseToken: 0xa2,
	octetString: 0x04,
	enumerated: 0x0a,
};

/** The object identifier of Kerberos, and the token's kind: AP_REP (RFC 4121 section 4.1). */
const replyFrame = Buffer.from('06092a864886f7120102020200', 'hex');

/** RFC 4178 section 4.2.2: `accept-completed`. */
const acceptCompleted = 0;

/** Whether the token holds a server's reply to a ticket, as far as its frame tells. */
export function holdsReply(token: Uint8Array, mechanism: 'spnego' | 'krb5'): boolean {
	const bytes = bufferOf(token);
	const reply = mechanism === 'krb5' ? bytes : responseTokenIn(bytes);
	const contents = contentsOf(reply, tags.token);
	return contents?.subarray(0, replyFrame.length).equals(replyFrame) === true;
}

/** Whether the token says that the ticket was accepted, and holds no reply. */
export function accepts(token: Uint8Array): boolean {
	const fields = responseFieldsOf(bufferOf(token));
	const state = contentsOf(fields?.get(tags.state), tags.enumerated);
	return state?.length === 1 && state[0] === acceptCompleted && fields?.has(tags.responseToken) === false;
}

/** Of NegTokenResp. */
function responseTokenIn(token: Buffer): Buffer | undefined {
	return contentsOf(responseFieldsOf(token)?.get(tags.responseToken), tags.octetString);
}

function responseFieldsOf(token: Buffer): Map<number, Buffer> | undefined {
	return fieldsOf(contentsOf(contentsOf(token, tags.response), tags.sequence));
}

function bufferOf({buffer, byteOffset, byteLength}: Uint8Array): Buffer {
	return Buffer.from(buffer, byteOffset, byteLength);
}
