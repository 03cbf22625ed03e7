/** Texts as they look with one layer of encoding less, with each character's place in the text that was there first. */

export interface DecodedText {
	readonly text: string;
	/** For each character: where what stands for it begins in the first text, and where it ends. */
	readonly starts: readonly number[];
	readonly ends: readonly number[];
}

export function plainText(text: string): DecodedText {
	const starts = Array.from({length: text.length}, (_, index) => index);
	return {text, starts, ends: starts.map(start => start + 1)};
}

/**
 * What stands for one character, or for one byte: percent-encoded (RFC 3986), in a string of JSON or of a program, in
 * HTML. Each alternative has a bounded length.
 */
const escapes =
	/%([\da-f]{2})|\\u\{([\da-f]{1,6})\}|\\u([\da-f]{4})|\\x([\da-f]{2})|\\(["'\\/bfnrt])|&#x([\da-f]{1,6});|&#(\d{1,7});|&(amp|lt|gt|quot|apos|nbsp|plus|equals|sol|num|percnt|colon|excl|quest|comma|period|semi|dollar|commat|lpar|rpar|ast|lowbar|Hat|grave|lbrace|rbrace|lbrack|rbrack|verbar|vert|bsol);/gi;

const controls: Readonly<Record<string, string>> = {b: '\b', f: '\f', n: '\n', r: '\r', t: '\t'};

const entities: Readonly<Record<string, string>> = {
	...{amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ', plus: '+', equals: '=', sol: '/'},
	...{num: '#', percnt: '%', colon: ':', excl: '!', quest: '?', comma: ',', period: '.', semi: ';'},
	...{dollar: '$', commat: '@', lpar: '(', rpar: ')', ast: '*', lowbar: '_', hat: '^', grave: '`'},
	...{lbrace: '{', rbrace: '}', lbrack: '[', rbrack: ']', verbar: '|', vert: '|', bsol: '\\'},
};

/** With one layer less; `undefined` where there is none. */
export function decodeOnce({text, starts, ends}: DecodedText): DecodedText | undefined {
	const result = {text: '', starts: [] as number[], ends: [] as number[]};
	const add = (characters: string, from: number, to: number): void => {
		for (const _ of Array.from({length: characters.length})) {
			result.starts.push(starts[from] ?? 0);
			result.ends.push(ends[to - 1] ?? 0);
		}
		result.text += characters;
	};
	let position = 0;
	const matches = [...text.matchAll(escapes)];
	for (let index = 0; index < matches.length; ) {
		const match = matches[index] as RegExpExecArray;
		for (; position < match.index; position++) add(text[position] ?? '', position, position + 1);
		const run = byteRun(matches, index);
		if (run.length === 0) {
			position = match.index + match[0].length;
			add(characterOf(match), match.index, position);
			index += 1;
			continue;
		}
		for (const {character, length} of utf8Characters(run.map(byteOf))) {
			const last = matches[index + length - 1] as RegExpExecArray;
			const from = (matches[index] as RegExpExecArray).index;
			position = last.index + last[0].length;
			add(character, from, position);
			index += length;
		}
	}
	if (matches.length === 0) return undefined;
	for (; position < text.length; position++) add(text[position] ?? '', position, position + 1);
	return result;
}

/** Those from `index` on that stand for bytes and follow each other. */
function byteRun(matches: readonly RegExpExecArray[], index: number): RegExpExecArray[] {
	const run: RegExpExecArray[] = [];
	for (let next = index; next < matches.length; next++) {
		const match = matches[next] as RegExpExecArray;
		const before = run.at(-1);
		const isByte = (match[1] ?? match[4]) !== undefined;
		if (!isByte || (before !== undefined && before.index + before[0].length !== match.index)) break;
		run.push(match);
	}
	return run;
}

function byteOf(match: RegExpExecArray): number {
	return Number.parseInt(match[1] ?? match[4] ?? '', 16);
}

function characterOf(match: RegExpExecArray): string {
	const [, , inBraces, inJson, , escaped, hexadecimal, decimal, entity] = match;
	if (escaped !== undefined) return controls[escaped.toLowerCase()] ?? escaped;
	if (entity !== undefined) return entities[entity.toLowerCase()] ?? '';
	const digits = inBraces ?? inJson ?? hexadecimal;
	const code = digits === undefined ? Number(decimal) : Number.parseInt(digits, 16);
	return code <= 0x10ffff ? String.fromCodePoint(code) : '';
}

/** The characters that bytes stand for in UTF-8, with the number of their bytes; a byte that is none stands for itself. */
function* utf8Characters(bytes: readonly number[]): Generator<{character: string; length: number}> {
	for (let position = 0; position < bytes.length; ) {
		const first = bytes[position] ?? 0;
		const expected = first < 0xc2 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 1;
		const some = Buffer.from(bytes.slice(position, position + expected));
		const character = some.toString('utf8');
		const isOne = some.length === expected && !character.includes('\ufffd');
		const length = isOne ? expected : 1;
		yield {character: isOne ? character : String.fromCharCode(first), length};
		position += length;
	}
}
