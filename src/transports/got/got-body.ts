/** Reads the body of a request of got whole, before got sends it. */
import type {NormalizedOptions} from 'got';
import {StrategyError} from '../../errors.ts';
import {byteLengthOf, bytesOf, lengthIn} from '../body-bytes.ts';

/** Of got's options: what is sent, and whether its user writes it. */
export type BodyOptions = Pick<NormalizedOptions, 'body' | 'isStream' | 'method'>;

/**
 * The bytes of the body. Where nothing was sent yet, got is given them, too: it sends the first leg by itself.
 *
 * @throws {StrategyError} where its user is still to write it, or it is too large.
 */
export async function readGotBody(options: BodyOptions, isSent: boolean): Promise<Uint8Array | undefined> {
	const {body} = options;
	if (isWrittenLater(options)) throw writtenLater();
	const bytes = await bytesOf(body);
	if (!isSent && bytes !== undefined && typeof body !== 'string' && !ArrayBuffer.isView(body)) {
		options.body = bytes;
	}
	return bytes;
}

/** How many bytes the body has: by what got or its user says, else by what it is. `undefined`: nobody can tell yet. */
export function gotBodyLength(options: BodyOptions, headers: object): number | undefined {
	return lengthIn(headers) ?? (isWrittenLater(options) ? undefined : byteLengthOf(options.body));
}

function isWrittenLater({body, isStream, method}: BodyOptions): boolean {
	return body === undefined && isStream === true && method !== 'GET' && method !== 'HEAD';
}

function writtenLater(): StrategyError {
	return new StrategyError({
		code: 'body-not-available',
		what: 'The strategy of this rule needs the whole body before it is sent, and what is written to a stream of got comes after the head',
		hint: 'Give the body as `body`, which may be a stream, a file or a function that opens one',
	});
}
