/**
 * Bodies that can be sent more than once without being kept in memory: a file, or a function that opens a stream.
 *
 * Both become an iterable that begins again each time. got knows such bodies: it sends them again by itself for a
 * redirect or a retry, and gatepass does for another leg.
 */
import {createReadStream, ReadStream, statSync} from 'node:fs';
import {Readable} from 'node:stream';

type Chunk = string | Uint8Array;
type Source = AsyncIterable<Chunk> | Iterable<Chunk>;

/** What `got` calls as its `init` hook: a function or a file in `body` becomes something that got takes. */
export function makeReopenable(options: {body?: unknown}): void {
	const {body} = options;
	if (typeof body === 'function') options.body = new ReopenableBody(body as () => Source);
	else if (isUnreadFile(body)) options.body = new ReopenableBody(openerOf(body), body);
}

export class ReopenableBody implements AsyncIterable<Chunk> {
	readonly #open: () => Source | Promise<Source>;
	/** The file as the caller opened it: the first one to be read. */
	#first: ReadStream | undefined;
	readonly #file: ReadStream | undefined;
	#stream: Readable | undefined;
	#openings = 0;

	constructor(open: () => Source | Promise<Source>, first?: ReadStream) {
		this.#open = open;
		this.#first = first;
		this.#file = first;
		// Until somebody reads it, nobody would hear that it cannot be opened; whoever reads it is told.
		first?.on('error', () => {});
	}

	/** From the beginning. Whoever reads it from before comes to an end: what it sent was refused in the meantime. */
	async *[Symbol.asyncIterator](): AsyncGenerator<Chunk, void> {
		this.#openings += 1;
		const opening = this.#openings;
		const source = this.#first ?? (await this.#open());
		this.#first = undefined;
		this.#stream?.destroy();
		this.#stream = source instanceof Readable ? source : undefined;
		try {
			for await (const chunk of source) {
				if (this.#openings !== opening) return;
				yield chunk;
			}
		} catch (error) {
			// It was destroyed because another one was opened.
			if (this.#openings === opening) throw error;
		}
	}

	/** How many bytes it has, where it is a file: what it has now. */
	get size(): number | undefined {
		return this.#file === undefined ? undefined : sizeOf(this.#file);
	}

	/** got calls it where it sends no more of the body. */
	return(): void {
		for (const stream of [this.#first, this.#stream]) stream?.destroy();
		this.#first = undefined;
		this.#stream = undefined;
	}
}

/** One that is opened by its path and not read yet; a pipe or a device gives its content once only. */
function isUnreadFile(body: unknown): body is ReadStream {
	if (!(body instanceof ReadStream) || body.bytesRead > 0 || body.destroyed) return false;
	const {path} = body as {path: string | Buffer | undefined};
	// Without a path it is a descriptor of the caller's, which has one position only.
	return path !== undefined && statSync(path, {throwIfNoEntry: false})?.isFile() === true;
}

/** Which part of the file it reads: Node keeps that on the stream, though its types do not tell. */
type Part = ReadStream & {readonly start?: number; readonly end?: number};

function sizeOf({path, start = 0, end = Number.POSITIVE_INFINITY}: Part): number | undefined {
	const size = statSync(path, {throwIfNoEntry: false})?.size;
	return size === undefined ? undefined : Math.max(Math.min(end + 1, size) - start, 0);
}

/** Opens the same part of the same file. */
function openerOf(file: ReadStream): () => ReadStream {
	const {start, end} = file as Part;
	const {path, readableHighWaterMark: highWaterMark, readableEncoding} = file;
	return () =>
		createReadStream(path, {
			highWaterMark,
			...(start !== undefined && {start}),
			...(end !== undefined && {end}),
			...(readableEncoding !== null && {encoding: readableEncoding}),
		});
}

/** Whether sending does not use the body up: text, bytes, and, as got has it, an iterable that begins again. */
export function canBeSentAgain(body: unknown): boolean {
	if (typeof body === 'string' || ArrayBuffer.isView(body)) return true;
	return isIterable(body) && !isUsedUp(body);
}

/** A stream, an iterator, or an emitter that is iterated, such as the lines of a file. */
function isUsedUp(body: object): boolean {
	const {next, on} = body as {next?: unknown; on?: unknown};
	return body instanceof ReadableStream || typeof next === 'function' || typeof on === 'function';
}

export function isIterable(body: unknown): body is Source {
	return (
		typeof body === 'object' &&
		body !== null &&
		!ArrayBuffer.isView(body) &&
		(Symbol.asyncIterator in body || Symbol.iterator in body)
	);
}
