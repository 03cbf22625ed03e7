/** The upload of a body that is iterated, on each leg after the first: that one is got's own, unless it is encoded. */
import type {ClientRequest} from 'node:http';
import {PassThrough, Readable, type Writable} from 'node:stream';
import type {BodyEncoder} from '../../strategy/index.ts';

/** Send the body from its beginning, until the leg is over. */
export function upload(
	body: AsyncIterable<unknown> | Iterable<unknown>,
	leg: ClientRequest,
	onFailure: (error: Error) => void,
): void {
	const source = Readable.from(body);
	source.on('error', onFailure);
	leg.once('close', () => source.destroy());
	// Nobody wants the rest of it once the answer is read.
	leg.once('response', message => message.once('close', () => leg.writableEnded || leg.destroy()));
	source.pipe(leg);
}

/** Where got can write what is encoded before it is sent by the leg. */
export function encodingEntry(encoder: BodyEncoder, leg: ClientRequest): Writable {
	const entry = new PassThrough();
	// Whoever writes is told by the leg.
	entry.on('error', () => {});
	leg.once('close', () => entry.destroy());
	upload(encoder(entry), leg, error => leg.destroy(error));
	return entry;
}
