/** Signatures of DNS messages by a shared key (TSIG, RFC 8945). */
import {createHmac, timingSafeEqual} from 'node:crypto';
import {GatepassError} from '../../../errors.ts';
import {
	classes,
	decodeName,
	encodeName,
	encodeRecord,
	type Message,
	type ResourceRecord,
	types,
} from './message.ts';

/** Their names on the wire, and in Node (RFC 8945 section 6). */
const algorithms = {
	'hmac-md5': ['hmac-md5.sig-alg.reg.int', 'md5'],
	'hmac-sha1': ['hmac-sha1', 'sha1'],
	'hmac-sha224': ['hmac-sha224', 'sha224'],
	'hmac-sha256': ['hmac-sha256', 'sha256'],
	'hmac-sha384': ['hmac-sha384', 'sha384'],
	'hmac-sha512': ['hmac-sha512', 'sha512'],
} as const;
export type SignatureAlgorithm = keyof typeof algorithms;
export const signatureAlgorithms = Object.keys(algorithms) as SignatureAlgorithm[];

/** The key that this side and the name server share. */
export interface SharedKey {
	readonly name: string;
	/** Base64: a secret. */
	readonly secret: string;
	readonly algorithm: SignatureAlgorithm;
}

/** Seconds by which two clocks may differ (RFC 8945 section 10). */
const fudge = 300;

export interface Signed {
	readonly bytes: Buffer;
	/** The answer's signature covers it. */
	readonly mac: Buffer;
}

/** @param now seconds since 1970. */
export function sign(message: Buffer, key: SharedKey, now: number): Signed {
	const [algorithm] = algorithms[key.algorithm];
	const mac = digest(key, [message, variables(key.name, algorithm, {time: now, fudge, error: 0})]);
	const data = Buffer.concat([
		encodeName(algorithm),
		uint48(now),
		uint16(fudge, mac.length),
		mac,
		// The message's own number, no error, nothing else.
		uint16(message.readUInt16BE(0), 0, 0),
	]);
	const signed = Buffer.concat([
		message,
		encodeRecord({name: key.name, type: types.TSIG, class: classes.ANY, ttl: 0, data}),
	]);
	signed.writeUInt16BE(message.readUInt16BE(10) + 1, 10);
	return {bytes: signed, mac};
}

/** What the signature of an answer says. */
export interface AnswerSignature {
	readonly isRight: boolean;
	/** 0, or `BADSIG`, `BADKEY`, `BADTIME`. */
	readonly error: number;
	/** The server's clock, in seconds since 1970; only where it did not like ours. */
	readonly serverTime?: number;
}

/** `undefined` where the answer is not signed. @param requestMac of the request that it answers. */
export function readSignature(
	answer: Message,
	key: SharedKey,
	requestMac: Buffer,
): AnswerSignature | undefined {
	const record = answer.additionals.at(-1);
	if (record?.type !== types.TSIG) return undefined;
	const {name: algorithm, fields} = fieldsOf(record);
	const {time, fudge: allowed, mac, originalId, error, other} = fields;
	const unsigned = Buffer.from(answer.bytes.subarray(0, answer.lastRecordAt));
	unsigned.writeUInt16BE(originalId, 0);
	unsigned.writeUInt16BE(answer.additionals.length - 1, 10);
	const expected = digest(key, [
		uint16(requestMac.length),
		requestMac,
		unsigned,
		variables(key.name, algorithm, {time, fudge: allowed, error, other}),
	]);
	return {
		// An answer by another algorithm than the request's was not made with our key.
		isRight:
			algorithm === algorithms[key.algorithm][0] &&
			record.name === key.name.toLowerCase().replace(/\.$/, '') &&
			mac.length === expected.length &&
			timingSafeEqual(mac, expected),
		error,
		...(other.length === 6 && {serverTime: other.readUIntBE(0, 6)}),
	};
}

function fieldsOf({data}: ResourceRecord) {
	const {name, end} = decodeName(data, 0);
	const length = data.readUInt16BE(end + 8);
	const after = end + 10 + length;
	const mac = data.subarray(end + 10, after);
	return {
		name,
		fields: {
			time: data.readUIntBE(end, 6),
			fudge: data.readUInt16BE(end + 6),
			mac,
			originalId: data.readUInt16BE(after),
			error: data.readUInt16BE(after + 2),
			other: data.subarray(after + 6, after + 6 + data.readUInt16BE(after + 4)),
		},
	};
}

/** RFC 8945 section 4.3.3. */
function variables(
	keyName: string,
	algorithm: string,
	{
		time,
		fudge: allowed,
		error,
		other = Buffer.alloc(0),
	}: {time: number; fudge: number; error: number; other?: Buffer},
): Buffer {
	return Buffer.concat([
		encodeName(keyName),
		uint16(classes.ANY, 0, 0),
		encodeName(algorithm),
		uint48(time),
		uint16(allowed, error, other.length),
		other,
	]);
}

function digest({name, secret, algorithm}: SharedKey, parts: readonly Buffer[]): Buffer {
	const key = Buffer.from(secret, 'base64');
	// Node passes over what is no base64, and would sign with another key.
	if (key.length === 0 || !/^[A-Za-z0-9+/\s]+={0,2}\s*$/.test(secret)) {
		throw new GatepassError({
			code: 'dns-update-failed',
			what: `The secret of the key ${name} is no base64`,
			hint: "Copy what stands behind 'secret' in the name server's own file, without its quotation marks",
		});
	}
	const mac = createHmac(algorithms[algorithm][1], key);
	for (const part of parts) mac.update(part);
	return mac.digest();
}

function uint16(...values: readonly number[]): Buffer {
	const bytes = Buffer.alloc(2 * values.length);
	for (const [index, value] of values.entries()) bytes.writeUInt16BE(value, 2 * index);
	return bytes;
}

function uint48(value: number): Buffer {
	const bytes = Buffer.alloc(6);
	bytes.writeUIntBE(value, 0, 6);
	return bytes;
}
