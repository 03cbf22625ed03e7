/** Writes DER (X.690), as much of it as certificates need. */

export function element(tag: number, ...content: readonly Uint8Array[]): Buffer {
	const body = Buffer.concat(content);
	return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body]);
}

function lengthOf(length: number): Buffer {
	if (length < 0x80) return Buffer.from([length]);
	const bytes: number[] = [];
	for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
	return Buffer.from([0x80 + bytes.length, ...bytes]);
}

export const sequence = (...content: readonly Uint8Array[]): Buffer => element(0x30, ...content);
export const set = (...content: readonly Uint8Array[]): Buffer => element(0x31, ...content);
export const octets = (content: Uint8Array): Buffer => element(0x04, content);
export const utf8 = (text: string): Buffer => element(0x0c, Buffer.from(text));
export const yes = element(0x01, Buffer.from([0xff]));

/** Explicitly tagged, as in `[3] EXPLICIT`. */
export const tagged = (number: number, content: Uint8Array): Buffer => element(0xa0 + number, content);
/** Implicitly tagged, of a primitive type. */
export const implicit = (number: number, content: Uint8Array): Buffer => element(0x80 + number, content);

/** A positive number, as big-endian bytes. */
export function integer(bytes: Uint8Array): Buffer {
	const needsZero = ((bytes[0] ?? 0) & 0x80) !== 0;
	return element(0x02, needsZero ? Buffer.from([0]) : Buffer.alloc(0), bytes);
}

export function bitString(bytes: Uint8Array, unused = 0): Buffer {
	return element(0x03, Buffer.from([unused]), bytes);
}

/** An object identifier in its usual form with dots. */
export function identifier(text: string): Buffer {
	const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
	const bytes: number[] = [];
	for (const part of [first * 40 + second, ...rest]) {
		const digits = [part & 0x7f];
		for (let left = Math.floor(part / 128); left > 0; left = Math.floor(left / 128)) {
			digits.unshift((left & 0x7f) | 0x80);
		}
		bytes.push(...digits);
	}
	return element(0x06, Buffer.from(bytes));
}

/** RFC 5280 section 4.1.2.5: UTCTime until 2049. */
export function time(date: Date): Buffer {
	const digits = date.toISOString().replace(/[-:T]|\.\d+/g, '');
	return date.getUTCFullYear() < 2050
		? element(0x17, Buffer.from(digits.slice(2)))
		: element(0x18, Buffer.from(digits));
}
