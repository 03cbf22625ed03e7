/** The little of DER (X.690) that tokens are framed in: tags of one byte, definite lengths of up to 65,535. */

export interface DerElement {
	readonly tag: number;
	readonly contents: Buffer;
	/** What comes after it. */
	readonly rest: Buffer;
}

/** The first element; `undefined` where it is cut off, or its length is not written as DER has it. */
export function readElement(bytes: Buffer): DerElement | undefined {
	const [tag, first] = bytes;
	if (tag === undefined || first === undefined) return undefined;
	const size = first < 0x80 ? 0 : first & 0x7f;
	const header = 2 + size;
	if (size > 2 || first === 0x80 || bytes.length < header) return undefined;
	const length = size === 0 ? first : bytes.readUIntBE(2, size);
	const isShortest = size === 0 || length >= (size === 1 ? 0x80 : 0x100);
	if (!isShortest || header + length > bytes.length) return undefined;
	return {tag, contents: bytes.subarray(header, header + length), rest: bytes.subarray(header + length)};
}

/** What is in the one element that all of the bytes are. */
export function contentsOf(bytes: Buffer | undefined, tag: number): Buffer | undefined {
	const element = bytes === undefined ? undefined : readElement(bytes);
	return element?.tag === tag && element.rest.length === 0 ? element.contents : undefined;
}

/** The fields of a SEQUENCE by their tags; `undefined` where one is no element, or out of order. */
export function fieldsOf(contents: Buffer | undefined): Map<number, Buffer> | undefined {
	if (contents === undefined) return undefined;
	const fields = new Map<number, Buffer>();
	let last = -1;
	for (let bytes = contents; bytes.length > 0; ) {
		const element = readElement(bytes);
		if (element === undefined || element.tag <= last) return undefined;
		last = element.tag;
		fields.set(element.tag, element.contents);
		bytes = element.rest;
	}
	return fields;
}
