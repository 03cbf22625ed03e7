/** Lines that break between words where a terminal ends; anywhere else they stay whole, for grep. */
import process from 'node:process';
import {stripVTControlCharacters} from 'node:util';

/** How many columns the text takes; the symbols that are printed here take one each. */
export function widthOf(text: string): number {
	return stripVTControlCharacters(text).length;
}

/** Break `text` into the width of the terminal: `first` stands before the first line, as many spaces before the others. */
export function wrap(text: string, first = ''): string {
	const {isTTY, columns = 80} = process.stdout;
	const indent = widthOf(first);
	const room = columns - indent;
	if (!isTTY || room < 20) return first + text;
	const lines: string[] = [];
	let line = '';
	for (const word of text.split(' ')) {
		if (line !== '' && widthOf(line) + 1 + widthOf(word) > room) {
			lines.push(line);
			line = word;
		} else {
			line = line === '' ? word : `${line} ${word}`;
		}
	}
	return first + [...lines, line].join(`\n${' '.repeat(indent)}`);
}
