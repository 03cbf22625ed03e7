/** What `-H` and `-d` mean: as in curl. */
import {readFile} from 'node:fs/promises';
import process from 'node:process';
import {buffer} from 'node:stream/consumers';
import {UsageError} from './failure.ts';

/** By lower-case name; `undefined` takes a header out that would be sent by itself. */
export type RequestHeaders = Record<string, string | string[] | undefined>;

/**
 * `Name: value` sets a header, several of a name are all sent; `Name:` takes one out; `Name;` sends it empty;
 * `@file` reads one header per line.
 */
export async function parseHeaders(written: readonly string[]): Promise<RequestHeaders> {
	const headers: RequestHeaders = {};
	for (const text of written) {
		const lines = text.startsWith('@')
			? (await readInput(text.slice(1), '-H')).toString().split(/\r?\n/)
			: [text];
		for (const line of lines) if (line.trim() !== '') addHeader(headers, line);
	}
	return headers;
}

function addHeader(headers: RequestHeaders, line: string): void {
	const match = /^([!#$%&'*+.^_`|~\dA-Za-z-]+)(?:;\s*$|:\s*(.*?)\s*$)/.exec(line);
	if (match === null || /[\0\r\n]/.test(line)) {
		// Not repeated: it may be a credential whose colon was forgotten.
		throw new UsageError("A value of -H is no header. Write 'Name: value', or 'Name:' to take one out");
	}
	const name = (match[1] ?? '').toLowerCase();
	const value = match[2] ?? '';
	if (match[2] === '') {
		headers[name] = undefined;
		return;
	}
	const before = headers[name];
	headers[name] = before === undefined ? value : [before, value].flat();
}

/** The value of `-u`: a name and a password. */
export function parseUser(text: string): string {
	// Not repeated: it may be a password that stands alone.
	if (!text.includes(':'))
		throw new UsageError("The value of -u is no name and password. Write 'name:password'");
	return text;
}

/** The header for it (RFC 7617). */
export function basic(user: string): string {
	return `Basic ${Buffer.from(user).toString('base64')}`;
}

/** The value of `--max-time`, in milliseconds. */
export function parseSeconds(text: string): number {
	const milliseconds = Math.round(Number(text) * 1000);
	if (text.trim() === '' || !(milliseconds > 0 && milliseconds < 2 ** 31)) {
		throw new UsageError('The value of --max-time is no number of seconds. Give one such as 10 or 0.5');
	}
	return milliseconds;
}

/** One piece of a body: `-d` takes line ends out of a file, `--data-binary` leaves it as it is. */
export interface BodyPart {
	readonly text: string;
	readonly binary: boolean;
}

/** The parts, joined by `&`; `undefined` without any. */
export async function readBody(parts: readonly BodyPart[]): Promise<Buffer | undefined> {
	if (parts.length === 0) return undefined;
	const pieces: Uint8Array[] = [];
	for (const {text, binary} of parts) {
		if (pieces.length > 0) pieces.push(Buffer.from('&'));
		if (!text.startsWith('@')) pieces.push(Buffer.from(text));
		else {
			const content = await readInput(text.slice(1), binary ? '--data-binary' : '-d');
			pieces.push(binary ? content : content.filter(byte => byte !== 0 && byte !== 10 && byte !== 13));
		}
	}
	return Buffer.concat(pieces);
}

async function readInput(file: string, option: string): Promise<Buffer> {
	if (file === '-') return buffer(process.stdin);
	try {
		return await readFile(file);
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		throw new UsageError(`The file ${file} of ${option} cannot be read (${code}). Name one that exists`, {
			cause: error,
		});
	}
}
