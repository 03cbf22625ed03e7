/** The table of the bench: what was measured, on both sides, and whether that is what was aimed at. */
import {styleText} from 'node:util';

export type Verdict = 'met' | 'missed' | 'no target';

/** One line of the table. */
export interface Row {
	/** What `--only` selects. */
	readonly group: string;
	readonly name: string;
	/** What was aimed at; empty where nothing was. */
	readonly target: string;
	readonly measured: string;
	/** What gatepass took, or the larger of two sizes. */
	readonly ours: string;
	/** What it is compared with. */
	readonly theirs: string;
	readonly verdict: Verdict;
	/** The figures behind the words, for `--json`. */
	readonly figures: Readonly<Record<string, unknown>>;
}

/** Whether a figure keeps to its limit. */
export function verdictOf(isMet: boolean): Verdict {
	return isMet ? 'met' : 'missed';
}

const columns = ['name', 'target', 'measured', 'ours', 'theirs', 'verdict'] as const;
const heads = ['', 'target', 'measured', 'ours', 'compared with', ''];

/** The rows as aligned text; colours only where they are asked for. */
export function formatTable(rows: readonly Row[], colours: boolean): string {
	const cells = [heads, ...rows.map(row => columns.map(column => row[column]))];
	const widths = columns.map((_, index) => Math.max(...cells.map(line => line[index]?.length ?? 0)));
	const lines = cells.map(line => line.map((cell, index) => cell.padEnd(widths[index] ?? 0)));
	return lines
		.map((line, index) => {
			const verdict = rows[index - 1]?.verdict;
			if (!colours || verdict === undefined || verdict === 'no target') return line.join('  ').trimEnd();
			const last = styleText(verdict === 'met' ? 'green' : 'red', line.at(-1) ?? '', {validateStream: false});
			return [...line.slice(0, -1), last].join('  ');
		})
		.join('\n');
}

/** `1234567` as `1,234,567`. */
export function count(value: number): string {
	return Math.round(value).toLocaleString('en-US');
}

/** A median with its extremes. */
export function spread({median, min, max}: {median: number; min: number; max: number}, digits = 2): string {
	return `${median.toFixed(digits)} (${min.toFixed(digits)} to ${max.toFixed(digits)})`;
}
