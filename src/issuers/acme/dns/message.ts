/** DNS messages on the wire (RFC 1035 section 4): as much of them as updates and the questions around them need. */
import {GatepassError} from '../../../errors.ts';

export const types = {CNAME: 5, NS: 2, SOA: 6, TXT: 16, TSIG: 250, ANY: 255} as const;
/** `NONE` takes one record out of a set (RFC 2136 section 2.5.4). */
export const classes = {IN: 1, NONE: 254, ANY: 255} as const;
export const opcodes = {query: 0, update: 5} as const;

/** RFC 1035 section 4.1.1, RFC 2136 section 2.2, RFC 8945 section 3. */
const responseCodes: Readonly<Record<number, string>> = {
	0: 'NOERROR',
	1: 'FORMERR',
	2: 'SERVFAIL',
	3: 'NXDOMAIN',
	4: 'NOTIMP',
	5: 'REFUSED',
	6: 'YXDOMAIN',
	7: 'YXRRSET',
	8: 'NXRRSET',
	9: 'NOTAUTH',
	10: 'NOTZONE',
	16: 'BADSIG',
	17: 'BADKEY',
	18: 'BADTIME',
	22: 'BADTRUNC',
};

export function responseCodeName(code: number): string {
	return responseCodes[code] ?? `code ${code}`;
}

export interface Question {
	readonly name: string;
	readonly type: number;
}

export interface ResourceRecord {
	/** In lower case, without the dot at the end. */
	readonly name: string;
	readonly type: number;
	readonly class: number;
	/** Seconds. */
	readonly ttl: number;
	readonly data: Buffer;
}

export interface Message {
	readonly id: number;
	readonly opcode: number;
	readonly isResponse: boolean;
	/** Whether whoever answers is in charge of the name. */
	readonly isAuthoritative: boolean;
	readonly code: number;
	readonly questions: readonly Question[];
	readonly answers: readonly ResourceRecord[];
	/** In an update: what is to be changed. */
	readonly authorities: readonly ResourceRecord[];
	readonly additionals: readonly ResourceRecord[];
	/** Where the last record begins, which a signature leaves out (RFC 8945 section 4.3.2). */
	readonly lastRecordAt: number;
	readonly bytes: Buffer;
}

/** A name, uncompressed and in lower case. @throws {GatepassError} where no name server could hold it. */
export function encodeName(name: string): Buffer {
	const labels = name.toLowerCase().replace(/\.$/, '').split('.');
	const parts = labels.map(label => Buffer.from(label, 'latin1')).filter(({length}) => length > 0);
	const encoded = Buffer.concat([...parts.flatMap(part => [Buffer.of(part.length), part]), Buffer.of(0)]);
	if (encoded.length <= 255 && parts.every(({length}) => length <= 63)) return encoded;
	throw new GatepassError({
		code: 'name-malformed',
		what: `'${name.slice(0, 300)}' is too long for the DNS`,
		hint: 'A name has at most 253 characters, and 63 between two dots',
	});
}

/** The data of a TXT record: strings of at most 255 bytes. */
export function encodeText(value: string): Buffer {
	const bytes = Buffer.from(value);
	const chunks: Buffer[] = [];
	for (let at = 0; at < bytes.length || at === 0; at += 255) {
		const chunk = bytes.subarray(at, at + 255);
		chunks.push(Buffer.of(chunk.length), chunk);
	}
	return Buffer.concat(chunks);
}

/** The strings of a TXT record, put together. */
export function decodeText(data: Buffer): string {
	const chunks: Buffer[] = [];
	for (let at = 0; at < data.length; at += 1 + (data[at] as number)) {
		chunks.push(data.subarray(at + 1, at + 1 + (data[at] as number)));
	}
	return Buffer.concat(chunks).toString();
}

export function encodeRecord(record: ResourceRecord): Buffer {
	const head = Buffer.alloc(10);
	head.writeUInt16BE(record.type, 0);
	head.writeUInt16BE(record.class, 2);
	head.writeUInt32BE(record.ttl, 4);
	head.writeUInt16BE(record.data.length, 8);
	return Buffer.concat([encodeName(record.name), head, record.data]);
}

/** A request with one question, or with one zone and what is to be changed in it. */
export function encodeRequest(
	id: number,
	opcode: number,
	{name, type}: Question,
	changes: readonly ResourceRecord[] = [],
): Buffer {
	const header = Buffer.alloc(12);
	header.writeUInt16BE(id, 0);
	header.writeUInt16BE(opcode << 11, 2);
	header.writeUInt16BE(1, 4);
	header.writeUInt16BE(changes.length, 8);
	const question = Buffer.alloc(4);
	question.writeUInt16BE(type, 0);
	question.writeUInt16BE(classes.IN, 2);
	return Buffer.concat([header, encodeName(name), question, ...changes.map(encodeRecord)]);
}

/** @throws {RangeError} where the message is cut off or leads in a circle. */
export function decodeMessage(bytes: Buffer): Message {
	const flags = bytes.readUInt16BE(2);
	const counts = [4, 6, 8, 10].map(at => bytes.readUInt16BE(at));
	let at = 12;
	let lastRecordAt = bytes.length;
	const questions: Question[] = [];
	for (let number = 0; number < (counts[0] as number); number++) {
		const {name, end} = decodeName(bytes, at);
		questions.push({name, type: bytes.readUInt16BE(end)});
		at = end + 4;
	}
	const section = (count: number): ResourceRecord[] =>
		Array.from({length: count}, () => {
			lastRecordAt = at;
			const {name, end} = decodeName(bytes, at);
			const begin = end + 10;
			at = begin + bytes.readUInt16BE(end + 8);
			if (at > bytes.length) throw new RangeError('a record is cut off');
			return {
				name,
				type: bytes.readUInt16BE(end),
				class: bytes.readUInt16BE(end + 2),
				ttl: bytes.readUInt32BE(end + 4),
				data: bytes.subarray(begin, at),
			};
		});
	const [answers, authorities, additionals] = counts.slice(1).map(section);
	return {
		id: bytes.readUInt16BE(0),
		opcode: (flags >> 11) & 0xf,
		isResponse: (flags & 0x8000) !== 0,
		isAuthoritative: (flags & 0x0400) !== 0,
		code: flags & 0xf,
		questions,
		answers: answers as ResourceRecord[],
		authorities: authorities as ResourceRecord[],
		additionals: additionals as ResourceRecord[],
		lastRecordAt,
		bytes,
	};
}

/** A name, which may go on elsewhere in the message (RFC 1035 section 4.1.4). */
export function decodeName(bytes: Buffer, start: number): {readonly name: string; readonly end: number} {
	const labels: string[] = [];
	let at = start;
	let end: number | undefined;
	// Each jump leads back, so a message of 65,535 bytes cannot be gone round for ever.
	for (let bound = bytes.length; ; ) {
		const length = bytes.readUInt8(at);
		if (length >= 0xc0) {
			const target = bytes.readUInt16BE(at) & 0x3fff;
			end ??= at + 2;
			if (target >= Math.min(at, bound)) throw new RangeError('a name leads in a circle');
			bound = target;
			at = target;
			continue;
		}
		if (length === 0) return {name: labels.join('.').toLowerCase(), end: end ?? at + 1};
		if (at + 1 + length > bytes.length) throw new RangeError('a name is cut off');
		labels.push(bytes.toString('latin1', at + 1, at + 1 + length));
		if (labels.length > 128) throw new RangeError('a name is too long');
		at += 1 + length;
	}
}
