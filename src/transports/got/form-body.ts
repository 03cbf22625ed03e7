/**
 * Forms (`FormData`) as a body that can be sent again: got makes a stream of one, which can be read once. Its parts are
 * all there, so they are written again each time (RFC 7578), with one boundary for all.
 */
import {randomUUID} from 'node:crypto';
import type {OptionsInit} from 'got';

/** What got calls as its `init` hook. */
export function makeFormReopenable(options: OptionsInit): void {
	const form: unknown = options.body;
	if (!(form instanceof FormData)) return;
	const boundary = `----gatepass-${randomUUID()}`;
	options.body = new FormBody(form, boundary) as never;
	const names = Object.keys(options.headers ?? {}).map(name => name.toLowerCase());
	if (names.includes('content-type')) return;
	options.headers = {...options.headers, 'content-type': `multipart/form-data; boundary=${boundary}`};
}

class FormBody implements AsyncIterable<Uint8Array> {
	/** As it was when it was given. */
	readonly #parts: readonly (readonly [head: string, value: string | Blob])[];
	readonly #end: string;

	constructor(form: FormData, boundary: string) {
		this.#parts = [...form].map(([name, value]) => [
			`--${boundary}\r\n${headOf(name, value)}\r\n\r\n`,
			typeof value === 'string' ? withLineBreaks(value) : value,
		]);
		this.#end = `--${boundary}--\r\n`;
	}

	async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
		for (const [head, value] of this.#parts) {
			yield Buffer.from(head);
			if (typeof value === 'string') yield Buffer.from(value);
			else yield* value.stream() as unknown as AsyncIterable<Uint8Array>;
			yield Buffer.from('\r\n');
		}
		yield Buffer.from(this.#end);
	}
}

/** As browsers and Node's fetch write it (HTML standard, multipart form data). */
function headOf(name: string, value: string | File): string {
	const disposition = `Content-Disposition: form-data; name="${escaped(withLineBreaks(name))}"`;
	if (typeof value === 'string') return disposition;
	const type = value.type === '' ? 'application/octet-stream' : value.type;
	return `${disposition}; filename="${escaped(value.name)}"\r\nContent-Type: ${type}`;
}

function escaped(text: string): string {
	return text.replaceAll('\n', '%0A').replaceAll('\r', '%0D').replaceAll('"', '%22');
}

function withLineBreaks(text: string): string {
	return text.replace(/\r?\n|\r/g, '\r\n');
}
