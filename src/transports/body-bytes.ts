/**
 * The bytes of a body, for strategies that sign what is sent or make a digest of it: whole, or as they come. What was
 * read whole is then sent on every leg: what is signed is what the server gets.
 */
import {StrategyError} from '../errors.ts';
import {isIterable, ReopenableBody} from './reopenable-body.ts';

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

/** How many bytes a body has, where that can be told without reading it; `undefined` for a stream. */
export function byteLengthOf(body: unknown): number | undefined {
	if (body === undefined || body === null) return 0;
	if (typeof body === 'string') return Buffer.byteLength(body);
	if (ArrayBuffer.isView(body) || body instanceof ArrayBuffer) return body.byteLength;
	if (body instanceof URLSearchParams) return Buffer.byteLength(body.toString());
	if (body instanceof Blob) return body.size;
	return body instanceof ReopenableBody ? body.size : undefined;
}

/** The bytes of a body as they come, for whoever makes something else of them. Whoever stops early ends the body. */
export async function* chunksOf(body: unknown): AsyncGenerator<Uint8Array, void> {
	if (body instanceof Blob) yield* body.stream();
	else if (isIterable(body) && !(body instanceof URLSearchParams)) {
		for await (const chunk of body) yield typeof chunk === 'string' ? Buffer.from(chunk, 'utf8') : chunk;
	} else {
		const bytes = await bytesOf(body);
		if (bytes !== undefined) yield bytes;
	}
}

/** The value of `content-length`, by any spelling; `undefined` where there is none that is a number. */
export function lengthIn(headers: object): number | undefined {
	for (const [name, value] of Object.entries(headers)) {
		if (name.length !== 14 || name.toLowerCase() !== 'content-length') continue;
		return /^\d+$/.test(String(value)) ? Number(value) : undefined;
	}
	return undefined;
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
