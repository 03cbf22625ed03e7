/**
 * Reads a body whole, for strategies that sign what is sent or make a digest of it. What was read is then sent on every
 * leg: what is signed is what the server gets.
 */
import {StrategyError} from '../errors.ts';
import {isIterable} from './reopenable-body.ts';

/** Bytes that are read of a body which is not in memory anyway. */
export const mostBodyBytes = 64 * 1024 * 1024;

/**
 * The bytes of a body; `undefined` where there is none. It is used up by that, unless it can be opened again.
 *
 * @throws {StrategyError} where it has more than {@link mostBodyBytes} and is not in memory, or is nothing that has bytes.
 */
export async function bytesOf(body: unknown): Promise<Uint8Array | undefined> {
	if (body === undefined || body === null) return undefined;
	if (typeof body === 'string') return Buffer.from(body, 'utf8');
	if (ArrayBuffer.isView(body)) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
	if (body instanceof ArrayBuffer) return Buffer.from(body);
	if (body instanceof URLSearchParams) return Buffer.from(body.toString(), 'utf8');
	if (body instanceof Blob) {
		// It may be a file that was not read yet.
		if (body.size > mostBodyBytes) throw tooLarge();
		return Buffer.from(await body.arrayBuffer());
	}
	if (isIterable(body)) return collect(body);
	throw new StrategyError({
		code: 'body-not-available',
		what: 'The strategy of this rule needs the bytes of the body before they are sent, and this body has none to read',
		hint: 'Give it as text, as bytes, or as something that can be iterated',
	});
}

async function collect(body: AsyncIterable<unknown> | Iterable<unknown>): Promise<Uint8Array> {
	const chunks: Uint8Array[] = [];
	let length = 0;
	for await (const chunk of body) {
		const bytes = typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : (chunk as Uint8Array);
		length += bytes.byteLength;
		if (length > mostBodyBytes) throw tooLarge();
		chunks.push(bytes);
	}
	return Buffer.concat(chunks, length);
}

function tooLarge(): StrategyError {
	return new StrategyError({
		code: 'body-not-available',
		what: `The strategy of this rule needs the whole body before it is sent, and this one has more than ${mostBodyBytes.toLocaleString('en')} bytes`,
		hint: 'Send it in parts, or choose options of the strategy that leave the body out',
	});
}
