/** Changes to a text at places that were found in it, all made at once. */

export interface TextEdit {
	readonly start: number;
	/** What stands from `start` to `end` goes; the same as `start`: nothing does. */
	readonly end: number;
	readonly text: string;
}

export function applyEdits(text: string, edits: readonly TextEdit[]): string {
	let result = text;
	// From the end, so that the places before stay right; of two at one place, the first one comes first.
	for (const {start, end, text: replacement} of [...edits].sort((a, b) => a.start - b.start).reverse()) {
		result = result.slice(0, start) + replacement + result.slice(end);
	}
	return result;
}

/** The white space at the beginning of the line of a place. */
export function indentationAt(text: string, place: number): string {
	const line = text.slice(text.lastIndexOf('\n', place - 1) + 1);
	return /^[ \t]*/.exec(line)?.[0] ?? '';
}
