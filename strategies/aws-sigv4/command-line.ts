/** A command line as AWS's shared files write it, taken apart without a shell. */

/** The words of a line; quotes and backslashes keep blanks together, and nothing else is special. */
export function splitCommand(line: string): string[] {
	const words: string[] = [];
	let word: string | undefined;
	let quote: string | undefined;
	for (let index = 0; index < line.length; index += 1) {
		const character = line[index] as string;
		if (character === quote) quote = undefined;
		else if (quote === undefined && (character === '"' || character === "'")) {
			quote = character;
			word ??= '';
		} else if (character === '\\' && quote !== "'" && index + 1 < line.length) {
			index += 1;
			word = (word ?? '') + line[index];
		} else if (quote === undefined && /\s/.test(character)) {
			if (word !== undefined) words.push(word);
			word = undefined;
		} else word = (word ?? '') + character;
	}
	if (word !== undefined) words.push(word);
	return words;
}
