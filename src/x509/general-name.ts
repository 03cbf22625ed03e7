/** How certificates and requests write the name of a host (RFC 5280 section 4.2.1.6). */
import {isIP} from 'node:net';
import {implicit} from './der-writer.ts';

/** A DNS name or an address. */
export function generalName(host: string): Buffer {
	return isIP(host) === 0 ? implicit(2, Buffer.from(host)) : implicit(7, addressBytes(host));
}

/** An address in its 4 or 16 bytes. */
export function addressBytes(address: string): Buffer {
	if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
	// Written out by the URL parser where its end is in the form of IPv4.
	const normal = new URL(`http://[${address}]/`).hostname.slice(1, -1);
	const [head = '', tail] = normal.split('::');
	const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
	const front = groups(head);
	const back = groups(tail ?? '');
	const zeros = tail === undefined ? 0 : 8 - front.length - back.length;
	const all = [...front, ...new Array<string>(zeros).fill('0'), ...back];
	return Buffer.from(all.map(group => group.padStart(4, '0')).join(''), 'hex');
}
