/**
 * Looks through a server's token before the library gets it: what it is framed in, not what is sealed. Heimdal takes a
 * token without the right frame for one, reads memory that holds nothing, and may end the whole process.
 */
import {contentsOf, fieldsOf} from './der.ts';

/** RFC 2743 section 3.1, RFC 4178 section 4.2. */
const tags = {token: 0x60, response: 0xa1, sequence: 0x30, responseToken: 0xa2, octetString: 0x04};

/** The object identifier of Kerberos, and the token's kind: AP_REP (RFC 4121 section 4.1). */
const replyFrame = Buffer.from('06092a864886f7120102020200', 'hex');

/** Whether the token holds a server's reply to a ticket, as far as its frame tells. */
export function holdsReply(token: Uint8Array, mechanism: 'spnego' | 'krb5'): boolean {
	const bytes = Buffer.from(token.buffer, token.byteOffset, token.byteLength);
	const reply = mechanism === 'krb5' ? bytes : responseTokenIn(bytes);
	const contents = contentsOf(reply, tags.token);
	return contents?.subarray(0, replyFrame.length).equals(replyFrame) === true;
}

/** Of NegTokenResp. */
function responseTokenIn(token: Buffer): Buffer | undefined {
	const fields = fieldsOf(contentsOf(contentsOf(token, tags.response), tags.sequence));
	return contentsOf(fields?.get(tags.responseToken), tags.octetString);
}
