/**
 * What the SPIFFE Workload API sends (https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Workload_API.md):
 * `X509SVIDResponse` of its published definition, taken apart by the wire format of Protocol Buffers.
 */

/** An X.509-SVID with the CA certificates of its trust domain. All is DER. */
export interface X509Svid {
	readonly spiffeId: string;
	/** The leaf first, and what leads to a root. */
	readonly certificates: readonly Uint8Array[];
	/** PKCS#8. A secret. */
	readonly key: Uint8Array;
	readonly bundle: readonly Uint8Array[];
}

/** One push: what the workload has from now on. */
export interface X509Response {
	readonly svids: readonly X509Svid[];
	/** The CA certificates of other trust domains, by their SPIFFE ID. */
	readonly federated: ReadonlyMap<string, readonly Uint8Array[]>;
}

/** @throws {RangeError} where it is no such message. */
export function parseX509Response(message: Uint8Array): X509Response {
	const svids: X509Svid[] = [];
	const federated = new Map<string, readonly Uint8Array[]>();
	for (const [field, value] of fieldsOf(message)) {
		if (field === 1) svids.push(parseSvid(value));
		if (field === 3) {
			const entry = byField(value);
			federated.set(textOf(entry.get(1)), splitDer(entry.get(2)));
		}
	}
	return {svids, federated};
}

function parseSvid(message: Uint8Array): X509Svid {
	const fields = byField(message);
	return {
		spiffeId: textOf(fields.get(1)),
		certificates: splitDer(fields.get(2)),
		key: fields.get(3) ?? new Uint8Array(),
		bundle: splitDer(fields.get(4)),
	};
}

const byField = (message: Uint8Array): Map<number, Uint8Array> => new Map(fieldsOf(message));
const textOf = (bytes: Uint8Array = new Uint8Array()): string => Buffer.from(bytes).toString('utf8');

/** The fields that have a length; others are passed over, as those are that nobody knows yet. */
function* fieldsOf(message: Uint8Array): Generator<[field: number, value: Uint8Array]> {
	let at = 0;
	const number = (): number => {
		let value = 0;
		for (let factor = 1; ; factor *= 128) {
			const byte = message[at];
			if (byte === undefined || factor > 2 ** 49) throw new RangeError('a number has no end');
			at += 1;
			value += (byte & 0x7f) * factor;
			if (byte < 0x80) return value;
		}
	};
	const take = (length: number): Uint8Array => {
		if (at + length > message.length) throw new RangeError('a field is longer than its message');
		at += length;
		return message.subarray(at - length, at);
	};
	while (at < message.length) {
		const tag = number();
		const kind = tag % 8;
		if (kind === 2) yield [Math.floor(tag / 8), take(number())];
		else if (kind === 0) number();
		else if (kind === 1) take(8);
		else if (kind === 5) take(4);
		else throw new RangeError('a field is of no kind that there is');
	}
}

/** Certificates one behind the other (X.690 section 8.1.3). */
function splitDer(bytes: Uint8Array = new Uint8Array()): Uint8Array[] {
	const found: Uint8Array[] = [];
	let at = 0;
	while (at < bytes.length) {
		const first = bytes[at + 1] ?? 0;
		const more = first < 0x80 ? 0 : first - 0x80;
		let length = first < 0x80 ? first : 0;
		for (let index = 0; index < more; index += 1) length = length * 256 + (bytes[at + 2 + index] ?? 0);
		const end = at + 2 + more + length;
		if (bytes[at] !== 0x30 || more > 4 || end > bytes.length)
			throw new RangeError('a certificate is cut off');
		found.push(bytes.subarray(at, end));
		at = end;
	}
	return found;
}

/** DER as PEM. */
export function toPem(label: 'CERTIFICATE' | 'PRIVATE KEY', der: Uint8Array): string {
	const lines =
		Buffer.from(der)
			.toString('base64')
			.match(/.{1,64}/g) ?? [];
	return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
