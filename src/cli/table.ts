/** Tables without lines: they read well on a terminal, and in a pipe each row stays on one line. */
import process from 'node:process';
import {paint} from './output.ts';
import {indentOf, widthOf, wrap} from './wrap.ts';

const gap = '  ';
/** A last column narrower than this is left to the terminal to wrap. */
const narrowest = 24;
/** The same of one that goes on below itself, above a sentence. */
const narrowestCell = 12;

const noLines = Object.fromEntries(
	[
		'top',
		'top-mid',
		'top-left',
		'top-right',
		'bottom',
		'bottom-mid',
		'bottom-left',
		'bottom-right',
		'left',
		'left-mid',
		'mid',
		'mid-mid',
		'right',
		'right-mid',
	].map(name => [name, '']),
);

/**
 * Render rows under a head. Sentences stand in the last column, which is wrapped into the width of a terminal; or,
 * where there are `details`, one for each row, of one line or more, below the row.
 */
export async function renderTable(
	head: readonly string[],
	rows: readonly (readonly string[])[],
	details?: readonly string[],
): Promise<string> {
	const {default: Table} = await import('cli-table3');
	const others = head.slice(0, -1).map((title, column) => {
		return Math.max(widthOf(title), ...rows.map(row => widthOf(row[column] ?? '')));
	});
	const {isTTY, columns = 80} = process.stdout;
	const left = columns - others.reduce((sum, width) => sum + width + gap.length, 0);
	// Too narrow for sentences beside the rest: they stand below it.
	if (isTTY && details === undefined && left < narrowest && head.length > 1) {
		const shorter = rows.map(row => row.slice(0, -1));
		return renderTable(
			head.slice(0, -1),
			shorter,
			rows.map(row => row.at(-1) ?? ''),
		);
	}
	const table = new Table({
		head: head.map(title => paint('bold', title)),
		chars: {...noLines, middle: gap},
		style: {head: [], border: [], 'padding-left': 0, 'padding-right': 0},
		...(isTTY &&
			details === undefined &&
			left >= narrowest && {colWidths: [...others, left], wordWrap: true}),
	});
	table.push(...rows.map(row => [...row]));
	const lines = table
		.toString()
		.split('\n')
		.map(line => line.trimEnd());
	if (details === undefined) return lines.join('\n');
	// Nothing was wrapped, so after the head there is one line for each row.
	const [first, ...rest] = lines.map((line, index) => {
		if (!isTTY || widthOf(line) <= columns) return line;
		const last = (index === 0 ? head : rows[index - 1])?.at(-1) ?? '';
		return wrapRow(line, last, columns);
	});
	const below = (index: number): string[] =>
		(details[index] ?? '')
			.split('\n')
			.map(detail => wrap(detail.trimStart(), `  ${/^\s*/.exec(detail)?.[0]}`));
	return [first, ...rest.flatMap((line, index) => [line, ...below(index)])].join('\n');
}

/** A row that is wider than the terminal goes on below its last cell, or, where there is no room, further in. */
function wrapRow(line: string, last: string, columns: number): string {
	const start = line.lastIndexOf(last);
	const before = line.slice(0, start);
	const longestWord = Math.max(...last.split(' ').map(widthOf));
	if (start > 0 && widthOf(before) + Math.max(longestWord, narrowestCell) <= columns)
		return wrap(last, before);
	const mark = indentOf(line);
	const further = ' '.repeat(widthOf(mark) + gap.length);
	return mark + wrap(line.slice(mark.length), further).slice(further.length);
}
