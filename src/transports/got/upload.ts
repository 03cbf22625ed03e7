/** The upload of a body that is iterated, on each leg after the first: that one is got's own. */
import type {ClientRequest} from 'node:http';
import {Readable} from 'node:stream';

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
