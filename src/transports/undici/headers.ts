/** The forms in which undici takes and gives headers. */
import type {IncomingHttpHeaders} from 'node:http';
import type {Dispatcher} from 'undici';
import {type HeaderRecord, HopHeaders, spelled} from '../../hop/request.ts';

type Given = Dispatcher.DispatchOptions['headers'];
type Values = string | string[] | undefined;

/** Names and values in turn, as they came; or, over HTTP/2, by name. */
export type RawHeaders = Exclude<Dispatcher.DispatchController['rawHeaders'], undefined>;

/** A copy by name, as the caller wrote the names. What comes more than once is a list. */
export function toRecord(headers: Given): HeaderRecord {
	if (headers === null || headers === undefined) return {};
	if (Array.isArray(headers)) return collect(pairsOf(headers as readonly string[]));
	if (isIterable(headers)) return collect(headers);
	return {...headers} as HeaderRecord;
}

/** The caller's headers and one more, in the place of what stands there by its name. */
export function withHeader(headers: Given, name: string, value: string): HeaderRecord | string[] {
	if (headers === null || headers === undefined) return {[spelled(name)]: value};
	if (Array.isArray(headers)) return withPair(headers as readonly string[], name, value);
	if (isIterable(headers) || hasName(headers, name)) {
		const all = new HopHeaders(toRecord(headers));
		all.set(name, value);
		return all.asSent();
	}
	return {...headers, [spelled(name)]: value} as HeaderRecord;
}

/** For names and values in turn. */
function withPair(flat: readonly string[], name: string, value: string): string[] {
	const all: string[] = [];
	for (let index = 0; index < flat.length; index += 2) {
		const own = flat[index] as string;
		if (own.length === name.length && own.toLowerCase() === name) continue;
		all.push(own, flat[index + 1] as string);
	}
	all.push(spelled(name), value);
	return all;
}

function hasName(headers: object, name: string): boolean {
	for (const key in headers) if (key.length === name.length && key.toLowerCase() === name) return true;
	return false;
}

function* pairsOf(flat: readonly string[]): Generator<[string, Values]> {
	for (let index = 0; index < flat.length; index += 2) yield [flat[index] as string, flat[index + 1]];
}

function isIterable(headers: object): headers is Iterable<[string, Values]> {
	return typeof (headers as Partial<Iterable<unknown>>)[Symbol.iterator] === 'function';
}

function collect(pairs: Iterable<[string, Values]>): HeaderRecord {
	const record: HeaderRecord = {};
	const names = new Map<string, string>();
	for (const [name, value] of pairs) {
		const known = names.get(name.toLowerCase());
		if (known === undefined) {
			names.set(name.toLowerCase(), name);
			record[name] = value;
		} else if (value !== undefined) {
			record[known] = [record[known] ?? [], value].flat() as string[];
		}
	}
	return record;
}

/**
 * The headers of an answer to an authenticated request, marked as not to be kept. A cache between gatepass and the
 * caller sees no credential, and would give the answer to whoever asks next (RFC 9111 section 5.2.2.5).
 */
export function marked(headers: IncomingHttpHeaders): IncomingHttpHeaders {
	const before = headers['cache-control'];
	return {...headers, 'cache-control': before === undefined ? 'no-store' : `${before}, no-store`};
}

/** The same for headers as they came. */
export function markedRaw(raw: RawHeaders): RawHeaders {
	if (raw === null) return raw;
	if (!Array.isArray(raw)) return marked(raw);
	const isText = typeof raw[0] === 'string';
	const line = isText
		? ['cache-control', 'no-store']
		: [Buffer.from('cache-control'), Buffer.from('no-store')];
	return [...raw, ...line] as RawHeaders;
}

/** Only the headers named, for an answer without content: its length says so. */
export function keepOnly(headers: IncomingHttpHeaders, names: readonly string[]): IncomingHttpHeaders {
	const kept = Object.fromEntries(Object.entries(headers).filter(([name]) => names.includes(name)));
	if ('content-length' in kept) kept['content-length'] = '0';
	return kept;
}

/** Names and values in turn, in bytes: as Node's own fetch and undici before version 8 take them. */
export function toRawPairs(raw: RawHeaders | undefined, headers: IncomingHttpHeaders): Buffer[] {
	if (Array.isArray(raw))
		return raw.map(part => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part));
	return Object.entries(raw ?? headers).flatMap(([name, values]) =>
		[values ?? []].flat().flatMap(value => [Buffer.from(name, 'latin1'), Buffer.from(value, 'latin1')]),
	);
}
