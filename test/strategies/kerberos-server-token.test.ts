/** Which tokens of a server the libraries get to see at all. */
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {holdsReply} from '../../strategies/kerberos/server-token.ts';

/** An element in DER. */
function der(tag: number, ...contents: readonly Uint8Array[]): Buffer {
	const {length} = Buffer.concat(contents);
	const size =
		length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
	return Buffer.concat([Buffer.from([tag, ...size]), ...contents]);
}

const kerberos = Buffer.from('06092a864886f712010202', 'hex');
const sealed = Buffer.alloc(130, 0x41);
/** RFC 4121 section 4.1: AP_REQ is 1, AP_REP 2, KRB_ERROR 3. */
const framed = (kind: number): Buffer => der(0x60, kerberos, Buffer.from([kind, 0]), sealed);
const state = der(0xa0, der(0x0a, Buffer.from([0])));
const response = (...fields: readonly Buffer[]): Buffer => der(0xa1, der(0x30, ...fields));
const reply = der(0xa2, der(0x04, framed(2)));

test('a reply, alone or in SPNEGO, with the fields that there may be', () => {
	expect(holdsReply(framed(2), 'krb5')).toBe(true);
	expect(holdsReply(response(state, der(0xa1, kerberos), reply), 'spnego')).toBe(true);
	expect(holdsReply(response(reply), 'spnego')).toBe(true);
	expect(holdsReply(response(state, reply, der(0xa3, der(0x04, sealed))), 'spnego')).toBe(true);
});

describe('anything else is kept from the library', () => {
	test.each([
		['nothing', Buffer.alloc(0)],
		// Nobody vouches for it, and Heimdal would keep the time that it names in the ticket file.
		['an error (KRB_ERROR)', framed(3)],
		['a request (AP_REQ)', framed(1)],
		['a reply with something after it', Buffer.concat([framed(2), Buffer.from([0])])],
		['a reply without its last byte', framed(2).subarray(0, -1)],
		[
			'a length that is longer than it need be',
			Buffer.concat([Buffer.from('60820085', 'hex'), framed(2).subarray(3)]),
		],
		[
			'an indefinite length',
			Buffer.concat([Buffer.from('6080', 'hex'), framed(2).subarray(3), Buffer.alloc(2)]),
		],
		[
			'another mechanism',
			der(0x60, Buffer.from('060a2b060104018237020210', 'hex'), Buffer.from([2, 0]), sealed),
		],
		['the sealed part alone', sealed],
	])('%s', (_, token) => {
		expect(holdsReply(token, 'krb5')).toBe(false);
		expect(holdsReply(response(state, der(0xa2, der(0x04, token))), 'spnego')).toBe(false);
	});

	test.each([
		['no reply in it', response(state, der(0xa1, kerberos))],
		['two replies', response(state, reply, reply)],
		['fields out of order', response(reply, state)],
		['something after it', Buffer.concat([response(state, reply), Buffer.from([0])])],
		[
			'the start of a negotiation',
			der(0x60, Buffer.from('06062b0601050502', 'hex'), der(0xa0, der(0x30, reply))),
		],
		['a reply without SPNEGO', framed(2)],
	])('%s', (_, token) => {
		expect(holdsReply(token, 'spnego')).toBe(false);
	});

	test('whatever it is, to look through it never throws', () => {
		const genuine = response(state, der(0xa1, kerberos), reply);
		const changed = fc
			.tuple(fc.nat({max: genuine.length - 1}), fc.nat({max: 255}), fc.nat({max: genuine.length}))
			.map(([position, value, length]) => {
				const copy = Uint8Array.from(genuine);
				copy[position] = value;
				return copy.subarray(0, length);
			});
		fc.assert(
			fc.property(fc.oneof(changed, fc.uint8Array({maxLength: 200})), token => {
				expect(typeof holdsReply(token, 'spnego')).toBe('boolean');
				expect(typeof holdsReply(token, 'krb5')).toBe('boolean');
			}),
			{numRuns: 5000},
		);
	});
});
