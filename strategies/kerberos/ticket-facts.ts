/**
 * What stands in a ticket for everybody to read: the service that it is for, and with which key of the service it is
 * encrypted (RFC 4120 sections 5.3 and 5.2.9). Taken from the token that a context begins with, an AP-REQ.
 */
import type {Evidence} from '../../src/strategy/index.ts';
import {contentsOf, fieldsOf, readElement} from './der.ts';

export type TicketFacts = Evidence;

/** The object identifier of Kerberos, and the token's kind: AP_REQ (RFC 4121 section 4.1). */
const frame = Buffer.from('06092a864886f7120102020100', 'hex');
const [apRequest, ticketTag, sequence, integer, generalString] = [0x6e, 0x61, 0x30, 0x02, 0x1b];
/** Fields are tagged by their number, from this one on. */
const field = 0xa0;

/** RFC 3961 section 8, RFC 8009 section 7, RFC 4757. */
const encryptionTypes: Readonly<Record<number, string>> = {
	16: 'des3-cbc-sha1',
	17: 'aes128-cts-hmac-sha1-96',
	18: 'aes256-cts-hmac-sha1-96',
	19: 'aes128-cts-hmac-sha256-128',
	20: 'aes256-cts-hmac-sha384-192',
	23: 'arcfour-hmac (RC4)',
};

/** Nothing where the token is of another kind. */
export function ticketFactsIn(token: Uint8Array): TicketFacts {
	const bytes = Buffer.from(token.buffer, token.byteOffset, token.byteLength);
	const start = bytes.indexOf(frame);
	const request = start < 0 ? undefined : readElement(bytes.subarray(start + frame.length));
	if (request?.tag !== apRequest) return {};
	const inRequest = fieldsOf(contentsOf(request.contents, sequence));
	const ticket = fieldsOf(contentsOf(contentsOf(inRequest?.get(field + 3), ticketTag), sequence));
	const encrypted = fieldsOf(contentsOf(ticket?.get(field + 3), sequence));
	const type = numberIn(encrypted?.get(field));
	const version = numberIn(encrypted?.get(field + 1));
	const service = serviceIn(ticket);
	return {
		...(service !== undefined && {'ticket for': service}),
		...(type !== undefined && {'encryption type': encryptionTypes[type] ?? `number ${type}`}),
		...(version !== undefined && {'key version': version}),
	};
}

function serviceIn(ticket: ReadonlyMap<number, Buffer> | undefined): string | undefined {
	const realm = contentsOf(ticket?.get(field + 1), generalString)?.toString('utf8');
	const name = fieldsOf(contentsOf(ticket?.get(field + 2), sequence));
	const parts: string[] = [];
	for (let rest = contentsOf(name?.get(field + 1), sequence); rest !== undefined && rest.length > 0; ) {
		const part = readElement(rest);
		if (part === undefined) return undefined;
		parts.push(part.contents.toString('utf8'));
		rest = part.rest;
	}
	return realm === undefined || parts.length === 0 ? undefined : `${parts.join('/')}@${realm}`;
}

function numberIn(value: Buffer | undefined): number | undefined {
	const bytes = contentsOf(value, integer);
	return bytes === undefined || bytes.length === 0 || bytes.length > 6
		? undefined
		: bytes.readIntBE(0, bytes.length);
}
