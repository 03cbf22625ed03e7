/** Just enough of DER (X.690) to see what a file holds and which policies a certificate names. Never past the end. */

/** One element: its tag, and where its content begins and ends. */
export interface DerElement {
	readonly tag: number;
	/** Of the element itself, with tag and length. */
	readonly start: number;
	/** Of its content. */
	readonly begin: number;
	readonly end: number;
}

/** Tags of X.690 section 8. */
export const derTag = {
	boolean: 0x01,
	integer: 0x02,
	bitString: 0x03,
	octetString: 0x04,
	objectIdentifier: 0x06,
	sequence: 0x30,
	set: 0x31,
} as const;

/** The element at `start`; `undefined` where there is none, or it would go past `limit`. */
export function readElement(bytes: Buffer, start = 0, limit = bytes.length): DerElement | undefined {
	const tag = bytes[start];
	let length = bytes[start + 1];
	if (tag === undefined || length === undefined || start + 2 > limit) return undefined;
	let begin = start + 2;
	// A tag of several bytes, and a length that is not told, are no DER.
	if ((tag & 0x1f) === 0x1f || length === 0x80) return undefined;
	if (length > 0x80) {
		const size = length - 0x80;
		if (size > 4 || begin + size > limit) return undefined;
		length = bytes.readUIntBE(begin, size);
		begin += size;
	}
	const end = begin + length;
	return end > limit ? undefined : {tag, start, begin, end};
}

/** The elements inside one, as far as they are whole. */
export function childrenOf(bytes: Buffer, parent: {begin: number; end: number}): DerElement[] {
	const children: DerElement[] = [];
	let at = parent.begin;
	while (at < parent.end) {
		const child = readElement(bytes, at, parent.end);
		if (child === undefined) break;
		children.push(child);
		at = child.end;
	}
	return children;
}

/** An object identifier in its usual form with dots. */
export function objectIdentifier(bytes: Buffer, {begin, end}: DerElement): string {
	const parts: number[] = [];
	let part = 0;
	for (const byte of bytes.subarray(begin, end)) {
		part = part * 128 + (byte & 0x7f);
		if (byte < 0x80) {
			// The first two parts share a number (X.690 section 8.19.4).
			if (parts.length === 0)
				parts.push(Math.min(Math.floor(part / 40), 2), part - Math.min(Math.floor(part / 40), 2) * 40);
			else parts.push(part);
			part = 0;
		}
	}
	return parts.join('.');
}
