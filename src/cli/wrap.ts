/** Lines that break between words where a terminal ends; anywhere else they stay whole, for grep. */
import process from 'node:process';
import {stripVTControlCharacters} from 'node:util';

/** How many columns the text takes; the symbols that are printed here take one each. */
export function widthOf(text: string): number {
	return stripVTControlCharacters(text).length;
}

/**
 * Break a text into the width of the terminal that `stream` is: `first` stands before the first line, as many spaces
 * before the others.
 */
export function wrap(told: string, first = '', stream: NodeJS.WriteStream = process.stdout): string {
	const text = asTyped(told);
	const {isTTY, columns = 80} = stream;
	const indent = widthOf(first);
	const room = columns - indent;
	if (!isTTY || room < 20) return first + text;
	const lines: string[] = [];
	let line = '';
	for (const word of text.split(' ')) {
		if (line !== '' && widthOf(line) + 1 + widthOf(word) > room) {
			lines.push(line.trimEnd());
			line = word;
		} else {
			line = line === '' ? word : `${line} ${word}`;
		}
	}
	return first + [...lines, line].join(`\n${' '.repeat(indent)}`);
}

/** In a project that has gatepass installed, `gatepass` alone is not found: who typed `npx` has to type it again. */
function asTyped(text: string): string {
	return process.env.npm_command === 'exec' ? text.replaceAll(/'gatepass(?= [a-z])/g, "'npx gatepass") : text;
}

/** The same for a text of several lines, each of which goes on below its own beginning. */
export function wrapLines(text: string, first = '', stream?: NodeJS.WriteStream): string {
	return text
		.split('\n')
		.map((line, index) => {
			const indent = indentOf(line);
			return wrap(line.slice(indent.length), `${index === 0 ? first : ''}${indent}`, stream);
		})
		.join('\n');
}

/** The blanks that a line begins with, and a mark such as ✔ or 1.: what goes on stands below the words, not below the mark. */
export function indentOf(line: string): string {
	const blanks = line.length - line.trimStart().length;
	const mark = /^(?:[✔✖!·→*]|\d+\.) +/.exec(stripVTControlCharacters(line.slice(blanks)))?.[0];
	if (mark === undefined) return line.slice(0, blanks);
	// The mark may be coloured, by characters that take no room.
	const space = line.indexOf(' ', blanks);
	return line.slice(0, space + mark.length - mark.trimEnd().length);
}
