/**
 * Reads the principals of a key table (MIT's format 2, which Heimdal writes too), and never its keys. It is looked
 * through before the library gets it: Heimdal ends the whole process at one that is cut off.
 */
import {readFileSync} from 'node:fs';

/** The file is no key table, or a damaged one. The message names it. */
export class KeytabUnusable extends Error {}

/** The principals, in the order of the file, such as `alice@EXAMPLE.ORG`. */
export function principalsIn(file: string): string[] {
	let bytes: Buffer;
	try {
		bytes = readFileSync(file);
	} catch (error) {
		throw new KeytabUnusable(
			`The key table ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`,
		);
	}
	if (bytes.length === 0) throw new KeytabUnusable(`The key table ${file} is empty`);
	if (bytes[0] !== 5 || bytes[1] !== 2) throw new KeytabUnusable(`The file ${file} is no key table`);
	try {
		const principals = readEntries(bytes);
		if (principals.length > 0) return principals;
	} catch {
		throw new KeytabUnusable(`The key table ${file} is damaged: it ends in the middle of a key`);
	}
	throw new KeytabUnusable(`The key table ${file} holds no key`);
}

/** Throws a `RangeError` where an entry goes beyond its end. */
function readEntries(bytes: Buffer): string[] {
	const principals: string[] = [];
	let position = 2;
	while (position < bytes.length) {
		const size = bytes.readInt32BE(position);
		position += 4;
		const end = position + Math.abs(size);
		if (end > bytes.length) throw new RangeError('torn');
		// A negative size is that of a key that was deleted; zero means that no more follow.
		if (size > 0) principals.push(readPrincipal(bytes.subarray(position, end)));
		if (size === 0) break;
		position = end;
	}
	return principals;
}

function readPrincipal(entry: Buffer): string {
	let position = 2;
	const data = (): string => {
		const end = position + 2 + entry.readUInt16BE(position);
		if (end > entry.length) throw new RangeError('torn');
		const text = entry.toString('utf8', position + 2, end);
		position = end;
		return text;
	};
	const realm = data();
	const components = Array.from({length: entry.readUInt16BE(0)}, data);
	// The type of the name, a time, and the version of the key; then its type and the key itself.
	position += 4 + 4 + 1 + 2;
	data();
	return `${components.join('/')}@${realm}`;
}
