/** Whose process is at the other end of a connection on this machine, where Linux tells. */
import {readFileSync} from 'node:fs';
import type {Socket} from 'node:net';

/** Columns of `/proc/net/tcp`. */
const local = 1;
const remote = 2;
const owner = 7;
const inode = 9;

/** The user's number; `undefined`: it cannot be told. Of 127.0.0.1 only. */
export function ownerOf({remotePort, localPort}: Socket): number | undefined {
	if (remotePort === undefined || localPort === undefined) return undefined;
	// A program whose sockets are of IPv6, as Java's are, reaches an address of IPv4 by its mapped form.
	return (
		findOwner('/proc/net/tcp', '', remotePort, localPort) ??
		findOwner('/proc/net/tcp6', '0000000000000000FFFF0000', remotePort, localPort)
	);
}

function findOwner(file: string, prefix: string, remotePort: number, localPort: number): number | undefined {
	let table: string;
	try {
		table = readFileSync(file, 'latin1');
	} catch {
		return undefined;
	}
	const theirs = prefix + place(remotePort);
	const ours = prefix + place(localPort);
	for (const line of table.split('\n')) {
		if (!line.includes(theirs)) continue;
		const fields = line.trim().split(/\s+/);
		// The table has both ends: theirs is the one whose local place is our remote one.
		if (fields[local] !== theirs || fields[remote] !== ours) continue;
		// What nobody has open any more has no inode, and the kernel gives it to user 0: whoever hangs up at once would
		// be root.
		return fields[inode] === '0' ? undefined : Number(fields[owner]);
	}
	return undefined;
}

/** Addresses stand there as the machine keeps them: 127.0.0.1 on a little-endian one. */
function place(port: number): string {
	return `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}
