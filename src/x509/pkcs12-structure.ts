/** The elements of a PKCS#12 file, which is often BER instead of DER: lengths left open, strings in pieces. */
import type forge from 'node-forge';

export type Forge = typeof forge;

/** Parse one element. */
export function parse(library: Forge, bytes: Buffer): forge.asn1.Asn1 {
	// The types do not know this option: what stands behind the element does not matter.
	const options = {strict: true, parseAllBytes: false} as unknown as boolean;
	return library.asn1.fromDer(bytes.toString('latin1'), options);
}

/** An element as DER. */
export function toDer(library: Forge, element: forge.asn1.Asn1): Buffer {
	return Buffer.from(library.asn1.toDer(element).getBytes(), 'latin1');
}

/** The elements inside one; none where it has a value of its own. */
export function inside(element: forge.asn1.Asn1 | undefined): forge.asn1.Asn1[] {
	return Array.isArray(element?.value) ? element.value : [];
}

/** The dotted form of an object identifier. */
export function oid(library: Forge, element: forge.asn1.Asn1 | undefined): string {
	if (element?.type !== library.asn1.Type.OID || typeof element.value !== 'string') throw malformed();
	return library.asn1.derToOid(element.value);
}

/** The bytes of a string, whose pieces are put together. */
export function octets(element: forge.asn1.Asn1 | undefined): Buffer {
	if (element === undefined) throw malformed();
	if (typeof element.value === 'string') return Buffer.from(element.value, 'latin1');
	return Buffer.concat(element.value.map(octets));
}

/** A positive number. */
export function integer(element: forge.asn1.Asn1 | undefined): number {
	const digits = octets(element);
	if (digits.length === 0 || digits.length > 6) throw malformed();
	return digits.readUIntBE(0, digits.length);
}

function malformed(): Error {
	return new Error('It is not what PKCS#12 has at this place');
}
