/** The few fields that each revocation list has (RFC 5280 section 5.1), read no further than such fields go. */
import {type DerElement, objectIdentifier, readElement} from '../x509/der.ts';

/** Real lists have less: names of 200 bytes, for example. */
const longest = {identifier: 32, time: 32} as const;
const tag = {utcTime: 0x17, generalizedTime: 0x18} as const;

const pemBegin = '-----BEGIN X509 CRL-----';
const pemEnd = '-----END X509 CRL-----';

/** In one go, without a look at lines or at other blocks: there may be millions of them. */
export function fromPem(bytes: Buffer): Buffer {
	const isUtf16 = bytes[0] === 0xff && bytes[1] === 0xfe;
	const text = isUtf16 ? Buffer.from(bytes.toString('utf16le', 2), 'latin1') : bytes;
	const begin = text.indexOf(pemBegin);
	if (begin === -1) throw new Error('holds no revocation list');
	const end = text.indexOf(pemEnd, begin);
	if (end === -1) throw damaged();
	return Buffer.from(text.toString('latin1', begin + pemBegin.length, end), 'base64');
}

export function damaged(): Error {
	return new Error('holds a revocation list that is damaged or cut off');
}

export function whole(bytes: Buffer, element: DerElement | undefined, expected: number): DerElement {
	if (element === undefined || element.tag !== expected || element.end > bytes.length) throw damaged();
	return element;
}

/** The elements inside one, of which none may be cut off, and none too many. */
export function parts(bytes: Buffer, parent: DerElement, mostOfThem: number): DerElement[] {
	const children: DerElement[] = [];
	for (let at = parent.begin; at < parent.end; ) {
		const child = readElement(bytes, at, parent.end);
		if (child === undefined || children.length === mostOfThem) throw damaged();
		children.push(child);
		at = child.end;
	}
	return children;
}

export function identifierIn(bytes: Buffer, id: DerElement): string {
	if (id.end - id.begin > longest.identifier) throw damaged();
	return objectIdentifier(bytes, id);
}

export function isTime(element: DerElement | undefined): boolean {
	return element?.tag === tag.utcTime || element?.tag === tag.generalizedTime;
}

/** RFC 5280 section 5.1.2.4: `YYMMDDHHMMSSZ`, or from 2050 on with four digits for the year. */
export function timeOf(bytes: Buffer, element: DerElement | undefined): number | undefined {
	if (element === undefined || !isTime(element)) return undefined;
	if (element.end - element.begin > longest.time) throw damaged();
	const text = bytes.toString('latin1', element.begin, element.end);
	const written =
		element.tag === tag.utcTime ? `${Number(text.slice(0, 2)) < 50 ? '20' : '19'}${text}` : text;
	const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(written);
	if (match === null) throw damaged();
	const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
	return Date.UTC(year, month - 1, day, hour, minute, second);
}
