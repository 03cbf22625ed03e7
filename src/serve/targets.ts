/**
 * Where the forward form does not go: addresses of this machine that no rule names, and those by which clouds hand out
 * credentials. What a name stands for is looked at when the connection is made, so that it cannot change in between.
 */
import {lookup as lookUpName} from 'node:dns';
import {BlockList, isIP, type LookupFunction} from 'node:net';

const never = new BlockList();
// Link-local, where clouds have their metadata, and what some of them have elsewhere.
never.addSubnet('169.254.0.0', 16);
never.addSubnet('fe80::', 10, 'ipv6');
never.addSubnet('fd00:ec2::', 32, 'ipv6');
never.addAddress('fd20:ce::254', 'ipv6');
never.addAddress('100.100.100.200');
never.addAddress('192.0.0.192');
never.addAddress('168.63.129.16');
// To several at once.
never.addSubnet('224.0.0.0', 4);
never.addAddress('255.255.255.255');
never.addSubnet('ff00::', 8, 'ipv6');

const thisMachine = new BlockList();
thisMachine.addSubnet('127.0.0.0', 8);
thisMachine.addAddress('::1', 'ipv6');
// "This host": systems connect to themselves.
thisMachine.addSubnet('0.0.0.0', 8);
thisMachine.addAddress('::', 'ipv6');

/** Why no connection is made to an address; `undefined`: nothing speaks against it. */
export function refusalOf(written: string, isNamedByRule: boolean): string | undefined {
	// Behind a percent sign stands the interface (RFC 4007 section 11).
	const [address = ''] = written.split('%');
	const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
	if (never.check(address, family)) return `${address} is a link-local, metadata or multicast address`;
	if (!isNamedByRule && thisMachine.check(address, family)) {
		return `${address} is this machine, and no host rule names it`;
	}
	for (const inner of family === 'ipv6' ? addressesWithin(address) : []) {
		const why = refusalOf(inner, isNamedByRule);
		if (why !== undefined) return `${address} holds ${why}`;
	}
	return undefined;
}

/** The addresses of IPv4 for which one of IPv6 may stand: what a translator or a tunnel makes of it. */
function addressesWithin(address: string): string[] {
	const groups = groupsOf(address);
	const v4 = (at: number, mask = 0): string =>
		[groups[at] ?? 0, groups[at + 1] ?? 0]
			.flatMap(group => [(group ^ mask) >> 8, (group ^ mask) & 255])
			.join('.');
	const starts = (...with_: number[]): boolean => with_.every((group, index) => groups[index] === group);
	// 6to4 (RFC 3056), and Teredo's server and client (RFC 4380 section 4).
	if (starts(0x2002)) return [v4(1)];
	if (starts(0x2001, 0)) return [v4(2), v4(6, 0xffff)];
	// Translated (RFC 6052, RFC 8215), mapped, compatible (RFC 4291 section 2.5.5), and of ISATAP (RFC 5214).
	const isTranslated = starts(0x64, 0xff9b);
	const isOld = starts(0, 0, 0, 0) && !starts(0, 0, 0, 0, 0, 0, 0);
	const isIsatap = (groups[4] ?? 0) % 0x200 === 0 && groups[5] === 0x5efe;
	return isTranslated || isOld || isIsatap ? [v4(6)] : [];
}

/** Its eight numbers. */
function groupsOf(address: string): number[] {
	const canonical = URL.parse(`http://[${address}]/`)?.hostname.slice(1, -1) ?? '::';
	const [before = '', after] = canonical.split('::');
	const numbers = (text = ''): number[] =>
		text === '' ? [] : text.split(':').map(part => Number.parseInt(part, 16));
	const [first, last] = [numbers(before), numbers(after)];
	return [...first, ...new Array(8 - first.length - last.length).fill(0), ...last];
}

/** The code of the error of a connection that was not made. */
export const targetRefused = 'target-refused';

/** The error of a connection that is not made. */
export function refusedTarget(why: string): Error {
	return Object.assign(new Error(why), {code: targetRefused});
}

/** Looks names up as the system does, and refuses a name that stands for such an address. */
export function guardedLookup(isNamedByRule: boolean): LookupFunction {
	return (hostname, options, callback) => {
		lookUpName(hostname, {...options, all: true}, (error, addresses) => {
			if (error !== null) {
				callback(error, '', 0);
				return;
			}
			for (const {address} of addresses) {
				const why = refusalOf(address, isNamedByRule);
				if (why === undefined) continue;
				callback(refusedTarget(`${hostname} is ${address}: ${why}`), '', 0);
				return;
			}
			const [first] = addresses;
			if (options.all === true) callback(null, addresses);
			else callback(null, first?.address ?? '', first?.family);
		});
	};
}

/** Why no connection is made to what a name stands for now; `undefined`: nothing speaks against it, or nobody knows it. */
export function refusalOfName(hostname: string): Promise<string | undefined> {
	return new Promise(resolve => {
		guardedLookup(false)(hostname, {all: true}, error => {
			resolve(error?.code === targetRefused ? error.message : undefined);
		});
	});
}
