/**
 * The dates and the serial number of a certificate, without OpenSSL: to look at thousands of them. What is not as it
 * usually is gives `undefined`, and is to be read in full.
 */
import {childrenOf, readElement} from './der.ts';

/** As Node's `X509Certificate` has them. */
export interface CertificateDates {
	readonly serialNumber: string;
	readonly validFromDate: Date;
	readonly validToDate: Date;
}

/** Of the first certificate in a PEM text. */
export function quickLook(pem: string): CertificateDates | undefined {
	const begin = pem.indexOf('-----BEGIN CERTIFICATE-----');
	const end = pem.indexOf('-----END CERTIFICATE-----', begin);
	if (begin === -1 || end === -1) return undefined;
	const bytes = Buffer.from(pem.slice(begin + 27, end), 'base64');
	const whole = readElement(bytes);
	const toBeSigned = whole && childrenOf(bytes, whole)[0];
	// Version 3 has its number in front (RFC 5280 section 4.1).
	const [version, serial, , , validity] = toBeSigned ? childrenOf(bytes, toBeSigned) : [];
	if (version?.tag !== 0xa0 || serial?.tag !== 0x02 || validity?.tag !== 0x30) return undefined;
	const [from, to] = childrenOf(bytes, validity).map(({tag, begin: start, end: stop}) =>
		timeIn(tag, bytes.toString('latin1', start, stop)),
	);
	const digits = bytes.toString('hex', serial.begin, serial.end).replace(/^(?:00)+(?=..)/, '');
	if (from === undefined || to === undefined || (bytes[serial.begin] ?? 0) >= 0x80) return undefined;
	return {
		// As OpenSSL writes zero.
		serialNumber: digits === '00' ? '0' : digits.toUpperCase(),
		validFromDate: new Date(from),
		validToDate: new Date(to),
	};
}

/** RFC 5280 section 4.1.2.5. */
function timeIn(tag: number, text: string): number | undefined {
	if (!/^\d+Z$/.test(text) || text.length !== (tag === 0x17 ? 13 : 15)) return undefined;
	const year =
		tag === 0x17 ? (Number(text.slice(0, 2)) < 50 ? '20' : '19') + text.slice(0, 2) : text.slice(0, 4);
	const rest = text.slice(tag === 0x17 ? 2 : 4);
	const [month, day, hours, minutes, seconds] = [0, 2, 4, 6, 8].map(at => Number(rest.slice(at, at + 2)));
	return Date.UTC(Number(year), (month as number) - 1, day, hours, minutes, seconds);
}
