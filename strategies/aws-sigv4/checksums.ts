/** Checksums of an object that S3 compares with what it got, as they stand behind the body. */
import {createHash} from 'node:crypto';
import {crc32} from 'node:zlib';

export const checksumNames = ['crc32', 'crc32c', 'sha1', 'sha256'] as const;
export type ChecksumName = (typeof checksumNames)[number];

/** A checksum in the making. */
export interface Checksum {
	update(bytes: Uint8Array): void;
	/** In base64. Once only. */
	digest(): string;
}

export function startChecksum(name: ChecksumName): Checksum {
	if (name === 'crc32') return cyclic((bytes, value) => crc32(bytes, value));
	if (name === 'crc32c') return cyclic(crc32c);
	const hash = createHash(name);
	return {update: bytes => void hash.update(bytes), digest: () => hash.digest('base64')};
}

export function checksumHeader(name: ChecksumName): string {
	return `x-amz-checksum-${name}`;
}

/** How long it is in base64. */
export function checksumLength(name: ChecksumName): number {
	return startChecksum(name).digest().length;
}

function cyclic(next: (bytes: Uint8Array, value: number) => number): Checksum {
	let value = 0;
	return {
		update(bytes) {
			value = next(bytes, value);
		},
		digest() {
			const bytes = Buffer.alloc(4);
			bytes.writeUInt32BE(value);
			return bytes.toString('base64');
		},
	};
}

/** Castagnoli's polynomial (RFC 3720 appendix B.4), reflected: zlib has only the other one. */
const castagnoli = 0x82f63b78;
let table: Uint32Array | undefined;

function crc32c(bytes: Uint8Array, value: number): number {
	table ??= Uint32Array.from({length: 256}, (_, byte) => {
		let entry = byte;
		for (let bit = 0; bit < 8; bit++) entry = entry & 1 ? (entry >>> 1) ^ castagnoli : entry >>> 1;
		return entry;
	});
	let crc = ~value;
	for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] as number);
	return ~crc >>> 0;
}
