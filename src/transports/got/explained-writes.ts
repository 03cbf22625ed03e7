/**
 * Explains failed writes of a request. got hands the error of a write to the user of its stream as it is, past its
 * hooks, and may do so before the request itself fails.
 */
import type {ClientRequest} from 'node:http';
import {refusalBehind} from '../../tls/rejections.ts';

type Done = (error?: Error | null) => void;
type Write = (chunk: unknown, encoding: BufferEncoding, done?: Done) => boolean;

/** `explain` gives the error to hand on, or `undefined` for one that needs no explanation. */
export function explainWrites(leg: ClientRequest, explain: (error: Error) => Error | undefined): void {
	// A function of the caller's may answer by itself.
	if (typeof leg.write !== 'function') return;
	const write = leg.write as Write;
	leg.write = ((chunk: unknown, encoding: BufferEncoding, done?: Done) =>
		write.call(leg, chunk, encoding, error => {
			done?.(error == null ? error : (explain(refusalBehind(error, leg.socket)) ?? error));
		})) as ClientRequest['write'];
}
