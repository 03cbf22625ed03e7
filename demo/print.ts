/** What the demo prints: headings, a table of hops, check marks; in colour on a terminal only. */
import {stripVTControlCharacters, styleText} from 'node:util';
import Table from 'cli-table3';
import type {Hop} from './hops.ts';

type Format = Parameters<typeof styleText>[0];

/** As wide as the narrowest of usual terminals. */
const columns = 80;

/** Columns, with their borders within that: the request's number, hop, rule and credential, what the server saw. */
const columnWidths = [4, 11, 33, 27];

const lines: string[] = [];

export function print(text = ''): void {
	lines.push(text);
	process.stdout.write(`${text.split('\n').map(wrap).join('\n')}\n`);
}

/** Break a line between words; what goes on stands a little further in. */
function wrap(line: string): string {
	const indent = `${/^ */.exec(line)?.[0]}    `;
	const broken: string[] = [];
	for (const word of line.split(' ')) {
		const last = broken.at(-1);
		const longer = `${last} ${word}`;
		if (last === undefined || stripVTControlCharacters(longer).length > columns) {
			broken.push(last === undefined ? word : `${indent}${word}`);
		} else {
			broken[broken.length - 1] = longer;
		}
	}
	return broken.join('\n');
}

/** All that was printed so far. */
export function printed(): string {
	return lines.join('\n');
}

export function heading(title: string): void {
	print();
	print(paint('bold', title));
}

export function paint(format: Format, text: string): string {
	return styleText(format, text, {stream: process.stdout});
}

export function checkmark(holds: boolean, claim: string): string {
	return holds ? `  ${paint('green', '✔')} ${claim}` : `  ${paint('red', '✘')} ${claim}: THIS DID NOT HAPPEN`;
}

/** Requests one below the other, each with its hops. */
export function hopTable(requests: readonly (readonly Hop[])[]): string {
	const table = new Table({
		head: ['', 'hop', 'rule, strategy and credential', 'what the server saw'].map(title =>
			paint('bold', title),
		),
		colWidths: columnWidths,
		wordWrap: true,
		style: {head: [], border: []},
	});
	for (const [index, hops] of requests.entries()) {
		for (const [position, hop] of hops.entries()) {
			const isRedirected = position > 0;
			table.push([
				isRedirected ? paint('dim', ' ↳') : String(index + 1),
				`${paint('cyan', hop.server)}\n${hop.request}`,
				hop.strategy === undefined
					? paint('dim', 'no rule')
					: `${paint('yellow', hop.strategy)}\n${paint('dim', hop.rule)}\n${hop.credential ?? paint('dim', 'none')}`,
				hop.saw.join('\n'),
			]);
		}
	}
	return table.toString();
}
