/** Bytes as dumps and lists show them: hexadecimal with something in between, decimal, octal, and quoted-printable. */
import type {DecodedText} from './decode-text.ts';

interface Form {
	/** A run of several. Each pattern takes time by the length of the text alone. */
	readonly run: RegExp;
	/** One of them. */
	readonly one: RegExp;
	readonly base: number;
}

const forms: readonly Form[] = [
	// 5a:71:37, 5a 71 37, 0x5a, 0x71
	{run: /[\da-f]{2}(?:[\s:,;x0-]{1,4}?[\da-f]{2}){3,}/gi, one: /[\da-f]{2}(?![\da-fx])/gi, base: 16},
	// [90,113,55]
	{run: /\d{1,3}(?:[\s,;]{1,3}\d{1,3}){3,}/g, one: /\d{1,3}/g, base: 10},
	// \132\161\067
	{run: /\\[0-3]?[0-7]{2}(?:\\[0-3]?[0-7]{2}){3,}/g, one: /[0-7]{2,3}/g, base: 8},
];

/** What the dumps in a text say, one after the other. */
export function* decodeDumps(decoded: DecodedText): Generator<DecodedText> {
	for (const {run, one, base} of forms) {
		for (const {0: found, index} of decoded.text.matchAll(run)) {
			const result = {text: '', starts: [] as number[], ends: [] as number[]};
			for (const {0: digits, index: within} of found.matchAll(one)) {
				add(result, decoded, Number.parseInt(digits, base), index + within, digits.length);
			}
			yield result;
		}
	}
	if (/=[\da-f]{2}/i.test(decoded.text)) yield decodeQuotedPrintable(decoded);
}

interface Growing {
	text: string;
	readonly starts: number[];
	readonly ends: number[];
}

function add(result: Growing, {starts, ends}: DecodedText, code: number, from: number, length: number): void {
	result.text += String.fromCharCode(code & 0xff);
	result.starts.push(starts[from] ?? 0);
	result.ends.push(ends[from + length - 1] ?? 0);
}

/** RFC 2045 section 6.7; lines that are broken there are put together. */
function decodeQuotedPrintable(decoded: DecodedText): DecodedText {
	const result: Growing = {text: '', starts: [], ends: []};
	for (const {0: found, index} of decoded.text.matchAll(/=[\da-f]{2}|=\r?\n|./gis)) {
		if (/^=\r?\n$/.test(found)) continue;
		const code = found.length === 3 ? Number.parseInt(found.slice(1), 16) : found.charCodeAt(0);
		if (found.length === 1 && code > 0xff) continue;
		add(result, decoded, code, index, found.length);
	}
	return result;
}
