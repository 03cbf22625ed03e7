/** The uploads of a body that is iterated: got's own on the first leg, and ours on each later one. */
import type {ClientRequest} from 'node:http';
import {Readable} from 'node:stream';

type OnWritten = (error?: Error | null) => void;

/**
 * got takes a write of such a body that fails for a failure of the request, also once that is answered, and waits for
 * each of them. Node forgets those that a request still has when it is destroyed.
 */
export function forgiveWrites(first: ClientRequest, isAnswered: () => boolean): void {
	const pending = new Set<OnWritten>();
	const write = first.write as (chunk: unknown, encoding: unknown, onWritten: OnWritten) => boolean;
	first.write = ((chunk: unknown, encoding: unknown, callback?: OnWritten) => {
		const onWritten: OnWritten = error => {
			if (pending.delete(onWritten)) callback?.(isAnswered() ? undefined : error);
		};
		pending.add(onWritten);
		return write.call(first, chunk, encoding, onWritten);
	}) as ClientRequest['write'];
	first.once('close', () => {
		for (const onWritten of pending) onWritten();
	});
}

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
