/** A distinguished name in DER (X.501), as RFC 2253 writes it: the names of CAs in a handshake come so. */
import {childrenOf, derTag, objectIdentifier, readElement} from '../x509/der.ts';

/** RFC 2253 section 2.3, and what else is met with; others stand by their numbers. */
const attributes: Readonly<Record<string, string>> = {
	'2.5.4.3': 'CN',
	'2.5.4.5': 'serialNumber',
	'2.5.4.6': 'C',
	'2.5.4.7': 'L',
	'2.5.4.8': 'ST',
	'2.5.4.10': 'O',
	'2.5.4.11': 'OU',
	'0.9.2342.19200300.100.1.1': 'UID',
	'0.9.2342.19200300.100.1.25': 'DC',
	'1.2.840.113549.1.9.1': 'emailAddress',
};

const bmpString = 0x1e;

export function nameOf(der: Buffer): string {
	const name = readElement(der);
	if (name === undefined) return '';
	const parts = childrenOf(der, name).map(set =>
		childrenOf(der, set)
			.filter(({tag}) => tag === derTag.sequence)
			.map(pair => {
				const [type, value] = childrenOf(der, pair);
				if (type === undefined || value === undefined) return '';
				const identifier = objectIdentifier(der, type);
				return `${attributes[identifier] ?? identifier}=${escaped(textOf(der.subarray(value.begin, value.end), value.tag))}`;
			})
			.join('+'),
	);
	return parts.reverse().join(',');
}

function textOf(bytes: Buffer, tag: number): string {
	const text = tag === bmpString ? Buffer.from(bytes).swap16().toString('utf16le') : bytes.toString('utf8');
	// A terminal would obey control characters.
	return text.replace(/[\p{Cc}\p{Cf}]/gu, '');
}

/** RFC 2253 section 2.4. */
function escaped(value: string): string {
	return value.replace(/[,+"\\<>;]/g, '\\$&').replace(/^[ #]/, '\\$&');
}
