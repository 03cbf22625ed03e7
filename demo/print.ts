/** What the demo prints: headings, a table of hops, check marks; in colour on a terminal only. */
import {styleText} from 'node:util';
import Table from 'cli-table3';
import type {Hop} from './hops.ts';

type Format = Parameters<typeof styleText>[0];

/** Columns, with their borders within 110: the request's number, hop, rule, credential, what the server saw. */
const columnWidths = [4, 13, 26, 29, 32];

const lines: string[] = [];

export function print(text = ''): void {
	lines.push(text);
	process.stdout.write(`${text}\n`);
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
		head: ['', 'hop', 'rule and strategy', 'credential', 'what the server saw'].map(title =>
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
					: `${paint('yellow', hop.strategy)}\n${paint('dim', hop.rule)}`,
				hop.credential ?? paint('dim', 'none'),
				hop.saw.join('\n'),
			]);
		}
	}
	return table.toString();
}
