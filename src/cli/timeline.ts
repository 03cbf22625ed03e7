/** A picture of what expires when: a bar for each, on one scale from now on. */
import process from 'node:process';
import {paint} from './output.ts';
import {widthOf} from './wrap.ts';

export interface TimelineEntry {
	readonly label: string;
	/** When it expires, in milliseconds since 1970. */
	readonly notAfter: number;
	/** When it is renewed, where it renews itself. */
	readonly renewAt?: number;
	/** Left out: by how soon it expires, as for what a person has to renew. */
	readonly colour?: 'red' | 'yellow' | 'green';
}

/** Columns for the time that is left, at the end of each line. */
const widthOfTime = 13;

/** The soonest first. Empty where there is nothing to show. */
export function renderTimeline(entries: readonly TimelineEntry[], now = Date.now()): string {
	const left = entries.filter(({notAfter}) => notAfter > 0).sort((a, b) => a.notAfter - b.notAfter);
	if (left.length === 0) return '';
	const columns = Math.min(process.stdout.columns ?? 80, 100);
	const labels = left.map(({label}) => shorten(label, 30));
	const widthOfLabel = Math.max(...labels.map(widthOf));
	const width = Math.max(columns - widthOfLabel - widthOfTime - 4, 10);
	const span = Math.max(...left.map(({notAfter}) => notAfter - now), 1);
	const at = (time: number): number =>
		Math.round(Math.min(Math.max((time - now) / span, 0), 1) * (width - 1));
	return left
		.map(({notAfter, renewAt, colour = colourOf(notAfter - now)}, index) => {
			const bar: string[] = Array.from({length: width}, (_, place) =>
				place <= at(notAfter) && notAfter > now ? '━' : ' ',
			);
			if (renewAt !== undefined && renewAt < notAfter && notAfter > now) bar[at(renewAt)] = '┃';
			const label = (labels[index] as string) + ' '.repeat(widthOfLabel - widthOf(labels[index] as string));
			return `${label}  ${paint(colour, bar.join(''))}  ${timeLeft(notAfter - now)}`.trimEnd();
		})
		.join('\n');
}

function timeLeft(milliseconds: number): string {
	if (milliseconds <= 0) return 'expired';
	const days = milliseconds / 86_400_000;
	if (days < 2 / 24) return `${Math.round(days * 1440)} minutes`;
	if (days < 2) return `${Math.round(days * 24)} hours`;
	return days < 700 ? `${Math.round(days)} days` : `${(days / 365.25).toFixed(1)} years`;
}

function colourOf(milliseconds: number): 'red' | 'yellow' | 'green' {
	const days = milliseconds / 86_400_000;
	return days < 3 ? 'red' : days < 30 ? 'yellow' : 'green';
}

function shorten(label: string, width: number): string {
	return widthOf(label) <= width ? label : `${label.slice(0, width - 1)}…`;
}
