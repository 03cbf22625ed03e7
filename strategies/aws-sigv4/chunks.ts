/**
 * A body in chunks, each with its signature, and behind them a checksum: `aws-chunked`
 * (https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html, and sigv4-streaming-trailers.html).
 */
import {createHash} from 'node:crypto';
import {StrategyError} from '../../src/errors.ts';
import {type ChecksumName, checksumHeader, checksumLength, startChecksum} from './checksums.ts';
import type {ChunkSigner} from './signing.ts';

/** Bytes of a chunk; the last one may be shorter. S3 takes none below 8 KiB, and AWS's own examples have these. */
const chunkSize = 64 * 1024;
const lineEnd = '\r\n';
const signatureLength = 64;
const inChunk = ';chunk-signature=';
const inTrailer = 'x-amz-trailer-signature:';

export interface ChunkSettings {
	/** Bytes of the body, as it was told beforehand. */
	readonly length: number;
	/** `undefined`: the chunks have no signature. */
	readonly signer: ChunkSigner | undefined;
	/** `undefined`: nothing stands behind them. */
	readonly checksum: ChecksumName | undefined;
}

/** How many bytes are sent for a body of `length`. */
export function encodedLength(length: number, isSigned: boolean, checksum?: ChecksumName): number {
	const head = (bytes: number): number =>
		bytes.toString(16).length + (isSigned ? inChunk.length + signatureLength : 0) + 2;
	const chunk = (bytes: number): number => head(bytes) + bytes + 2;
	const rest = length % chunkSize;
	const chunks = Math.floor(length / chunkSize) * chunk(chunkSize) + (rest === 0 ? 0 : chunk(rest));
	let trailer = 0;
	if (checksum !== undefined) {
		trailer += checksumHeader(checksum).length + 1 + checksumLength(checksum) + 2;
		if (isSigned) trailer += inTrailer.length + signatureLength + 2;
	}
	return chunks + head(0) + trailer + 2;
}

/**
 * The chunks, as they are sent.
 *
 * @throws {StrategyError} where the body has another length than was told: the server would wait for the rest, or take
 * what is left for another request.
 */
export async function* encodeChunks(
	body: AsyncIterable<Uint8Array>,
	{length, signer, checksum}: ChunkSettings,
): AsyncGenerator<Uint8Array, void> {
	const sum = checksum === undefined ? undefined : startChecksum(checksum);
	let told = 0;
	for await (const parts of inPieces(body)) {
		const hash = signer === undefined ? undefined : createHash('sha256');
		let size = 0;
		for (const part of parts) {
			size += part.byteLength;
			hash?.update(part);
			sum?.update(part);
		}
		told += size;
		if (told > length) throw otherLength(length, 'more');
		const signature = signer === undefined ? '' : inChunk + signer.signChunk(hash?.digest('hex'));
		yield Buffer.concat([Buffer.from(size.toString(16) + signature + lineEnd), ...parts, crlf]);
	}
	if (told < length) throw otherLength(length, 'only', told);
	let end = `0${signer === undefined ? '' : inChunk + signer.signChunk()}${lineEnd}`;
	if (checksum !== undefined && sum !== undefined) {
		const trailer = `${checksumHeader(checksum)}:${sum.digest()}`;
		end += trailer + lineEnd;
		if (signer !== undefined) end += inTrailer + signer.signTrailer(`${trailer}\n`) + lineEnd;
	}
	yield Buffer.from(end + lineEnd);
}

const crlf = Buffer.from(lineEnd);

/** The bytes in pieces of one chunk each, taken apart and put together without being copied. */
async function* inPieces(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array[], void> {
	let parts: Uint8Array[] = [];
	let size = 0;
	for await (const bytes of body) {
		for (let from = 0; from < bytes.byteLength; ) {
			const part = bytes.subarray(from, from + chunkSize - size);
			parts.push(part);
			size += part.byteLength;
			from += part.byteLength;
			if (size < chunkSize) continue;
			yield parts;
			parts = [];
			size = 0;
		}
	}
	if (size > 0) yield parts;
}

function otherLength(length: number, word: 'more' | 'only', found?: number): StrategyError {
	return new StrategyError({
		code: 'body-not-available',
		what: `The body was said to have ${length.toLocaleString('en')} bytes, and has ${word}${found === undefined ? '' : ` ${found.toLocaleString('en')}`}`,
		hint: "Set 'content-length' to how many bytes it has, or leave a body alone while it is sent",
	});
}
