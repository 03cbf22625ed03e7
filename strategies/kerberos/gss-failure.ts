/** Turns a status of the GSS-API into an error that can cross from the worker thread. */
import {codedMinor} from './codes.ts';
import {bufferOf, type GssBuffer, type GssCalls, oids} from './gss-library.ts';
import type {Failure} from './gss-messages.ts';

/** A call of the library failed. */
export class GssFailure extends Error {
	readonly failure: Failure;

	constructor(failure: Failure) {
		super(failure.text);
		this.failure = failure;
	}
}

/** RFC 2744 section 3.9.1: calling and routine errors; what is below them is information. */
const errorBits = 0xffff_0000;

/** `gss_display_status`: a major status of the GSS-API, or a minor one of the mechanism. */
const [majorCode, minorCode] = [1, 2];

/** Pass the status of a call on, or throw what it means. */
export function succeed(
	calls: GssCalls,
	phase: Failure['phase'],
	major: number,
	minor: readonly number[],
): number {
	if ((major & errorBits) === 0) return major;
	const [code = 0] = minor;
	const texts = [
		...describe(calls, major, majorCode),
		...(code === 0 ? [] : describe(calls, code, minorCode)),
	];
	const text = [...new Set(texts)].join('; ');
	throw new GssFailure({phase, major, minor: codedMinor(code, text), text});
}

/** The library may have several lines to say of one status. */
function describe(calls: GssCalls, code: number, type: number): string[] {
	const lines: string[] = [];
	const more: [number] = [0];
	do {
		const text = {} as GssBuffer;
		const major = calls.displayStatus([0], code, type, oids.krb5, more, text);
		if ((major & errorBits) !== 0) break;
		lines.push(Buffer.from(calls.take(text)).toString('utf8').replaceAll('\0', '').trim());
	} while (more[0] !== 0 && lines.length < 10);
	return lines.filter(line => line !== '');
}

/** Import a name of one of the forms in `oids`. */
export function importName(calls: GssCalls, name: string, form: (typeof oids)[keyof typeof oids]): bigint {
	const [minor, result]: [[number], [bigint | null]] = [[0], [null]];
	succeed(calls, 'name', calls.importName(minor, bufferOf(Buffer.from(name)), form, result), minor);
	return result[0] as bigint;
}

/** A name as the library writes it. */
export function displayName(calls: GssCalls, name: bigint | null): string {
	const minor: [number] = [0];
	const text = {} as GssBuffer;
	succeed(calls, 'name', calls.displayName(minor, name, text, null), minor);
	return Buffer.from(calls.take(text)).toString('utf8');
}
