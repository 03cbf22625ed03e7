/** Reads the body of a response before its reader does, who then gets it from its beginning. */
import type {IncomingMessage} from 'node:http';
import {Readable} from 'node:stream';

/** What a reader of a message may ask for besides its body. Some of it is known only once the body is read. */
const told = [
	'statusCode',
	'statusMessage',
	'httpVersion',
	'httpVersionMajor',
	'httpVersionMinor',
	'headers',
	'headersDistinct',
	'rawHeaders',
	'trailers',
	'trailersDistinct',
	'rawTrailers',
	'complete',
	'aborted',
	'socket',
	'connection',
	'req',
	'url',
	'method',
] as const;

interface ReadAhead {
	/** In the place of the message. */
	readonly content: IncomingMessage;
	/** `undefined`: there are more than were to be read, or it broke off. */
	readonly bytes: Uint8Array | undefined;
}

/** Read up to `most` bytes. */
export async function readAhead(message: IncomingMessage, most: number): Promise<ReadAhead> {
	const source = message[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
	const chunks: Uint8Array[] = [];
	let failure: {readonly error: unknown} | undefined;
	let length = 0;
	let isWhole = false;
	try {
		while (length <= most && !isWhole) {
			const {value, done} = await source.next();
			isWhole = done === true;
			if (isWhole) break;
			chunks.push(value);
			length += value.byteLength;
		}
	} catch (error) {
		failure = {error};
	}
	async function* content(): AsyncGenerator<Uint8Array, void> {
		yield* chunks;
		// Its reader is told then.
		if (failure !== undefined) throw failure.error;
		if (!isWhole) yield* {[Symbol.asyncIterator]: () => source};
	}
	const stream = Readable.from(content(), {objectMode: false});
	stream.once('close', () => message.destroy());
	const asked = message as unknown as Record<string, unknown>;
	for (const name of told) {
		const describe = (description: PropertyDescriptor): void =>
			void Object.defineProperty(stream, name, {...description, configurable: true, enumerable: true});
		// Readers may put something else there.
		describe({get: () => asked[name], set: value => describe({value, writable: true})});
	}
	return {
		content: stream as unknown as IncomingMessage,
		bytes: isWhole ? Buffer.concat(chunks, length) : undefined,
	};
}
