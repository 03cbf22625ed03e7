/** Bodies as undici takes them: which of them can be sent again, and how. */
import type {Dispatcher} from 'undici';
import type {HeaderRecord} from '../../hop/request.ts';
import {canBeSentAgain, isIterable, makeReopenable} from '../reopenable-body.ts';

/** What the caller of `gatepass.fetch` gave as its body, where that is in memory: fetch itself makes a stream of it. */
export const bodySource: unique symbol = Symbol('gatepass.bodySource');

/**
 * Bytes of a body that are kept while it is sent, so that it can be sent again: for the streams that fetch makes of
 * texts and bytes. What is in memory anyway, as `gatepass.fetch` knows, has no such limit.
 */
const mostKept = 1024 * 1024;

export interface PreparedBody {
	readonly body: unknown;
	readonly replayable: boolean;
	/** Nothing more is sent of it: let go of what is open. */
	end(): void;
}

const nothing = (): void => {};

/** The body of a dispatch, made ready to be sent more than once where that is possible. */
export function prepareBody(options: Dispatcher.DispatchOptions, headers: HeaderRecord): PreparedBody {
	const holder = {body: options.body as unknown};
	if (holder.body === null || holder.body === undefined) {
		return {body: undefined, replayable: true, end: nothing};
	}
	const source = (options as {[bodySource]?: unknown})[bodySource];
	if (typeof source === 'string' || source instanceof Blob) {
		return {body: source, replayable: true, end: nothing};
	}
	makeReopenable(holder);
	const {body} = holder;
	if (isPlain(body)) return {body, replayable: true, end: nothing};
	if (!isIterable(body) || isStream(body)) return {body, replayable: false, end: nothing};
	if (canBeSentAgain(body) && !isOfUndici(body)) {
		const {return: end} = body as {return?: () => void};
		return {body, replayable: true, end: () => end?.call(body)};
	}
	if (source === undefined && !(lengthOf(headers) <= mostKept))
		return {body, replayable: false, end: nothing};
	const kept = new KeptBody(body);
	return {body: kept, replayable: true, end: () => kept.return()};
}

/** Text, bytes, and what undici reads from its beginning each time. */
function isPlain(body: unknown): boolean {
	return (
		typeof body === 'string' ||
		ArrayBuffer.isView(body) ||
		body instanceof ArrayBuffer ||
		body instanceof Blob ||
		isForm(body)
	);
}

/** Of any copy of undici. */
export function isForm(body: unknown): body is FormData {
	return (body as {[Symbol.toStringTag]?: unknown} | undefined)?.[Symbol.toStringTag] === 'FormData';
}

/** The same as a form of the platform's: it knows no other copy's. */
export function ownForm(form: FormData): FormData {
	if (form instanceof FormData) return form;
	const own = new FormData();
	for (const [name, value] of form as Iterable<[string, string | File]>) {
		if (typeof value === 'string') own.append(name, value);
		else own.append(name, value, value.name);
	}
	return own;
}

function isStream(body: object): boolean {
	return typeof (body as {pipe?: unknown}).pipe === 'function';
}

/** What undici's redirect interceptor makes of an iterable, and lets nobody read twice. */
function isOfUndici(body: object): boolean {
	return Object.getOwnPropertySymbols(body).some(({description}) => description === 'used');
}

function lengthOf(headers: HeaderRecord): number {
	const name = Object.keys(headers).find(key => key.toLowerCase() === 'content-length');
	return name === undefined ? Number.POSITIVE_INFINITY : Number(headers[name]);
}

type Chunk = string | Uint8Array;

/** An iterable that can be read once, and is kept as far as it is read. */
class KeptBody implements AsyncIterable<Chunk> {
	readonly #source: AsyncIterator<Chunk> | Iterator<Chunk>;
	readonly #chunks: Chunk[] = [];
	/** The chunk that is waited for: a reader from before may still do so when the next one begins. */
	#next: Promise<boolean> | undefined;

	constructor(body: AsyncIterable<Chunk> | Iterable<Chunk>) {
		this.#source = Symbol.asyncIterator in body ? body[Symbol.asyncIterator]() : body[Symbol.iterator]();
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<Chunk, void> {
		for (let index = 0; ; index += 1) {
			if (index === this.#chunks.length && !(await this.#readOn())) return;
			yield this.#chunks[index] as Chunk;
		}
	}

	/** Whether there is one more chunk. */
	#readOn(): Promise<boolean> {
		this.#next ??= this.#read().finally(() => {
			this.#next = undefined;
		});
		return this.#next;
	}

	async #read(): Promise<boolean> {
		const {done, value} = await this.#source.next();
		if (done !== true) this.#chunks.push(value);
		return done !== true;
	}

	return(): void {
		Promise.resolve(this.#source.return?.()).catch(nothing);
	}
}
