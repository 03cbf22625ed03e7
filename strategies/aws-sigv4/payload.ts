/** What stands for the body in a signature, and in what form the body is sent. */
import {StrategyError} from '../../src/errors.ts';
import type {AuthRequest} from '../../src/strategy/index.ts';
import {type ChecksumName, checksumHeader, startChecksum} from './checksums.ts';
import {encodedLength} from './chunks.ts';
import type {Sigv4Options} from './options.ts';
import {payloadHashOf, unsignedPayload} from './signing.ts';

export interface Payload {
	/** What stands in the signature in the place of the body's hash. */
	readonly hash: string;
	/** What goes with it, to be set on the request. */
	readonly headers: Readonly<Record<string, string>>;
	/** How the body is sent in chunks; `undefined`: as it is. */
	readonly chunks?: {
		readonly length: number;
		readonly isSigned: boolean;
		readonly checksum: ChecksumName | undefined;
	};
}

const plain = (hash: string): Payload => ({hash, headers: {}});

/**
 * The payload of a rule that has bodies sent in chunks. One whose length nobody knows beforehand, and one that another
 * client sends, is read whole and signed so: S3 asks for the length at first.
 */
export async function streamedPayload(
	request: AuthRequest,
	options: Pick<Sigv4Options, 'payload' | 'checksum'>,
): Promise<Payload> {
	const isSigned = options.payload === 'streaming';
	// Without a signature of its own, a chunk is guarded by a checksum alone.
	const checksum = options.checksum ?? (isSigned ? undefined : 'crc32');
	const {bodyLength: length, encodeBody} = request;
	if (length === 0) return plain(payloadHashOf(undefined));
	if (length === undefined || encodeBody === undefined) {
		const body = await readWhole(request);
		if (body === undefined || body.byteLength === 0) return plain(payloadHashOf(undefined));
		const hash = isSigned ? payloadHashOf(body) : unsignedPayload;
		return {hash, headers: checksum === undefined ? {} : checksummed(body, checksum)};
	}
	const encoding = request.headers.get('content-encoding');
	const named = `STREAMING-${isSigned ? 'AWS4-HMAC-SHA256' : 'UNSIGNED'}-PAYLOAD`;
	return {
		hash: checksum === undefined ? named : `${named}-TRAILER`,
		headers: {
			'content-encoding': encoding === undefined ? 'aws-chunked' : `aws-chunked,${encoding}`,
			'content-length': String(encodedLength(length, isSigned, checksum)),
			'x-amz-decoded-content-length': String(length),
			...(checksum !== undefined && {'x-amz-trailer': checksumHeader(checksum)}),
		},
		chunks: {length, isSigned, checksum},
	};
}

function checksummed(body: Uint8Array, name: ChecksumName): Record<string, string> {
	const sum = startChecksum(name);
	sum.update(body);
	return {[checksumHeader(name)]: sum.digest()};
}

async function readWhole(request: AuthRequest): Promise<Uint8Array | undefined> {
	try {
		return await request.readBody();
	} catch (error) {
		if (!(error instanceof StrategyError)) throw error;
		const isOurs = request.encodeBody !== undefined;
		throw new StrategyError(
			{
				code: 'body-not-available',
				what: isOurs
					? 'The body is to be signed in chunks as it is sent, and nobody says how long it is'
					: 'The body is to be signed in chunks as it is sent, which only the clients of gatepass can do',
				hint: isOurs
					? "Set 'content-length' to how many bytes it has"
					: "Send it by 'gatepass.got', 'gatepass.fetch' or 'gatepass.dispatcher', or give it as text or as bytes",
			},
			{cause: error},
		);
	}
}
