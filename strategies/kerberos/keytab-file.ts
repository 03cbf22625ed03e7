/**
 * Reads the principals of a key table (MIT's format 2, which Heimdal writes too), and never its keys. It is looked
 * through before the library gets it: Heimdal ends the whole process at one that is cut off.
 */
import {NoRegularFile, readRegular} from './regular-file.ts';

/** The file is no key table, or a damaged one. The message names it. */
export class KeytabUnusable extends Error {}

/** A key, but for the key itself. */
export interface KeyEntry {
	/** As the libraries write it, such as `alice@EXAMPLE.ORG` or `robot\\@example.org@EXAMPLE.ORG`. */
	readonly principal: string;
	/** The number of its encryption type (RFC 3961 section 8). */
	readonly type: number;
}

/** The principals, in the order of the file. */
export function principalsIn(file: string): string[] {
	return entriesIn(file).map(({principal}) => principal);
}

/** All keys, in the order of the file. */
export function entriesIn(file: string): KeyEntry[] {
	let bytes: Buffer;
	try {
		bytes = readRegular(file);
	} catch (error) {
		if (error instanceof NoRegularFile) throw new KeytabUnusable(`The key table ${file} ${error.message}`);
		throw new KeytabUnusable(
			`The key table ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`,
		);
	}
	if (bytes.length === 0) throw new KeytabUnusable(`The key table ${file} is empty`);
	if (bytes[0] !== 5 || bytes[1] !== 2) throw new KeytabUnusable(`The file ${file} is no key table`);
	try {
		const entries = readEntries(bytes);
		if (entries.length > 0) return entries;
	} catch {
		throw new KeytabUnusable(`The key table ${file} is damaged: it ends in the middle of a key`);
	}
	throw new KeytabUnusable(`The key table ${file} holds no key`);
}

/** Throws a `RangeError` where an entry goes beyond its end. */
function readEntries(bytes: Buffer): KeyEntry[] {
	const entries: KeyEntry[] = [];
	let position = 2;
	while (position < bytes.length) {
		const size = bytes.readInt32BE(position);
		position += 4;
		const end = position + Math.abs(size);
		if (end > bytes.length) throw new RangeError('torn');
		// A negative size is that of a key that was deleted; zero means that no more follow.
		if (size > 0) entries.push(readEntry(bytes.subarray(position, end)));
		if (size === 0) break;
		position = end;
	}
	return entries;
}

function readEntry(entry: Buffer): KeyEntry {
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
	position += 4 + 4 + 1;
	const type = entry.readUInt16BE(position);
	position += 2;
	data();
	return {principal: `${components.map(escaped).join('/')}@${escaped(realm)}`, type};
}

/** RFC 1964 section 2.1.1. */
export function escaped(part: string): string {
	return part.replaceAll(/[\\/@]/g, '\\$&');
}

/** Whether a name of a key table is the one wanted. Without a realm it is of the default realm, which only the library knows. */
export function isSamePrincipal(inKeytab: string, wanted: string): boolean {
	const [components, realm] = partsOf(wanted);
	const [itsComponents, itsRealm] = partsOf(inKeytab);
	return components === itsComponents && (realm === undefined || realm === itsRealm);
}

/** With no more escapes than needed. */
function partsOf(name: string): [components: string, realm: string | undefined] {
	const [, components = name, realm] = /^((?:\\.|[^@\\])*)(?:@(.*))?$/s.exec(name) ?? [];
	const plain = (part: string): string => part.replaceAll(/\\([^\\/@])/gs, '$1');
	return [plain(components), realm === undefined ? undefined : plain(realm)];
}

/** What the libraries take without being told to: AES (RFC 3962), and MIT's its newer forms (RFC 8009), too. */
const usual = {mit: [17, 18, 19, 20], heimdal: [17, 18]};
/** The others that are about (RFC 3961 section 8, RFC 4757, RFC 6803, RFC 8009). */
const typeNames: Readonly<Record<number, string>> = {
	1: 'des-cbc-crc',
	3: 'des-cbc-md5',
	16: 'des3-cbc-sha1',
	19: 'aes128-cts-hmac-sha256-128',
	20: 'aes256-cts-hmac-sha384-192',
	23: 'arcfour-hmac',
	25: 'camellia128-cts-cmac',
	26: 'camellia256-cts-cmac',
};

/** The types of a principal's keys, where none is usual; `undefined`: one is. */
export function unusualTypesOf(
	entries: readonly KeyEntry[],
	principal: string,
	library: keyof typeof usual,
): string | undefined {
	const types = new Set(entries.filter(entry => entry.principal === principal).map(({type}) => type));
	if (usual[library].some(type => types.has(type))) return undefined;
	return [...types].map(type => `${typeNames[type] ?? 'type'} (${type})`).join(', ');
}
