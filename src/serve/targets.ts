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
never.addAddress('fd00:ec2::254', 'ipv6');
never.addAddress('100.100.100.200');
never.addAddress('192.0.0.192');
never.addAddress('168.63.129.16');
// The same, wrapped for a translator (RFC 6052) or a tunnel (RFC 3056).
never.addSubnet('64:ff9b::a9fe:0', 112, 'ipv6');
never.addSubnet('2002:a9fe::', 32, 'ipv6');
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
thisMachine.addSubnet('64:ff9b::7f00:0', 104, 'ipv6');
thisMachine.addSubnet('2002:7f00::', 24, 'ipv6');

/** The code of the error of a connection that was not made. */
export const targetRefused = 'target-refused';

/** Why no connection is made to an address; `undefined`: nothing speaks against it. */
export function refusalOf(address: string, isNamedByRule: boolean): string | undefined {
	const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
	if (never.check(address, family)) return `${address} is a link-local, metadata or multicast address`;
	if (!isNamedByRule && thisMachine.check(address, family)) {
		return `${address} is this machine, and no host rule names it`;
	}
	return undefined;
}

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
