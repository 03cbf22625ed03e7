/** Reads from a credential cache file what the GSS-API has no call for. */
import {checkRegular, NoRegularFile, readRegular} from './regular-file.ts';

/** Bytes: more than the head of any file. */
const longestHead = 256;
/** The field of the head with the clock's offset: seconds and microseconds. */
const deltaTime = 1;

/**
 * Whether the library has noted in the file by how much the machine's clock and that of the KDC differ. Throws where
 * the file cannot be read.
 */
export function hasClockOffset(path: string): boolean {
	const head = Buffer.concat([readRegular(path, longestHead)], longestHead);
	if (head.readUInt16BE(0) !== 0x0504) return false;
	const end = Math.min(4 + head.readUInt16BE(2), longestHead - 8);
	for (let position = 4; position + 8 <= end; position += 4 + head.readUInt16BE(position + 2)) {
		if (head.readUInt16BE(position) === deltaTime) return head.readInt32BE(position + 4) !== 0;
	}
	return false;
}

/** Throws a `NoRegularFile` with a whole sentence where a cache is named that is a file, and something else is there. */
export function checkCache(name: string): void {
	const type = /^([a-z]+):/i.exec(name)?.[1]?.toUpperCase();
	if (type !== undefined && type !== 'FILE' && type !== 'WRFILE') return;
	const path = type === undefined ? name : name.slice(type.length + 1);
	try {
		checkRegular(path);
	} catch (error) {
		throw new NoRegularFile(`The credential cache ${path} ${(error as Error).message}`);
	}
}

/**
 * Until when the ticket can be renewed: seconds since 1970; `undefined` where the file is not in format 4 (all that MIT and Heimdal write today), is torn,
 * or its ticket-granting ticket cannot be renewed.
 */
export async function renewUntil(cache: string): Promise<number | undefined> {
	const file = /^(?:FILE:|DIR::)?(\/.*)$/s.exec(cache)?.[1];
	if (file === undefined) return undefined;
	try {
		return findRenewal(readRegular(file));
	} catch {
		// It is not there, or it is torn: the library says so in its own words.
		return undefined;
	}
}

/** Throws a `RangeError` where the file ends too soon. */
function findRenewal(bytes: Buffer): number | undefined {
	let position = 0;
	const take = (length: number): Buffer => {
		if (position + length > bytes.length) throw new RangeError('the cache is torn');
		position += length;
		return bytes.subarray(position - length, position);
	};
	const number = (): number => take(4).readUInt32BE();
	const data = (): string => take(number()).toString('latin1');
	const principal = (): string => {
		number();
		const components = number();
		const realm = data();
		return `${Array.from({length: Math.min(components, 16)}, data).join('/')}@${realm}`;
	};
	const list = (): void => {
		for (let left = number(); left > 0; left--) {
			take(2);
			data();
		}
	};
	if (take(2).readUInt16BE() !== 0x0504) return undefined;
	take(take(2).readUInt16BE());
	principal();
	while (position < bytes.length) {
		principal();
		const server = principal();
		// The key: its type, and its bytes.
		take(2);
		data();
		// When it was issued, begins and ends.
		take(12);
		const renewal = number();
		// Whether it is a key of two users; and its flags.
		take(5);
		list();
		list();
		data();
		data();
		if (server.startsWith('krbtgt/')) return renewal === 0 ? undefined : renewal;
	}
	return undefined;
}
