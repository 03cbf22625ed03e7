/** A picture of where the time of a request went: a bar for each part, on one scale; without a terminal, or on a narrow one, the figures alone. */
import process from 'node:process';
import {paint} from './output.ts';
import type {Phase} from './request-timing.ts';
import type {TracedHop} from './trace.ts';

const colours = {
	credential: 'magenta',
	dns: 'cyan',
	connect: 'yellow',
	tls: 'blue',
	wait: 'green',
	body: 'gray',
} as const satisfies Record<Phase['name'], Parameters<typeof paint>[0]>;

/** Columns of the words before a bar, and of the figure after it. */
const widthOfWords = 25;
const widthOfFigure = 11;
const narrowestBar = 10;

interface Row {
	/** `asked`, `sent`, or none where the row goes on with the one above. */
	readonly title: string;
	readonly phase: Phase;
}

/** Lines for stderr, each hop's after the other. Empty where nothing was sent. */
export function renderWaterfall(hops: readonly TracedHop[], stream = process.stderr): string[] {
	const groups = hops.flatMap(groupsOf);
	const whole = Math.max(0, ...groups.flatMap(rows => rows.map(({phase}) => endOf(phase))));
	if (groups.length === 0) return [];
	const columns = Math.min(stream.columns ?? 80, 100);
	if (!stream.isTTY || columns < widthOfWords + narrowestBar + widthOfFigure) {
		return [
			`* time        ${figure(whole)}`,
			...groups.map(rows => {
				const parts = rows.map(({phase}) => `${phase.name} ${figure(phase.duration)}`);
				return `*   ${(rows[0] as Row).title.padEnd(9)} ${parts.join(', ')}`;
			}),
		];
	}
	const width = columns - widthOfWords - widthOfFigure;
	const scale = `0${figure(whole).padStart(width - 1)}`;
	return [
		`* time${' '.repeat(widthOfWords - 6)}${scale}`,
		...groups.flatMap(rows => rows.map(row => draw(row, whole, width, stream))),
	];
}

/** A group for each thing that was sent, in the order in which they began. */
function groupsOf({legs, strategyRequests}: TracedHop, index: number, hops: readonly TracedHop[]): Row[][] {
	const place = hops.length > 1 ? ` ${index + 1}` : '';
	const titled = [
		...strategyRequests.map(({phases}) => ({title: `asked${place}`, phases})),
		...legs.map(({phases}) => ({title: `sent${place}`, phases})),
	];
	return titled
		.filter(({phases}) => phases.length > 0)
		.sort((a, b) => sendingOf(a.phases) - sendingOf(b.phases))
		.map(({title, phases}) => phases.map((phase, row) => ({title: row === 0 ? title : '', phase})));
}

/** What a strategy asked for lies within the work on a credential, and stands before it for who reads from above. */
function sendingOf(phases: readonly Phase[]): number {
	return (phases.find(({name}) => name !== 'credential') ?? (phases[0] as Phase)).start;
}

function draw({title, phase}: Row, whole: number, width: number, stream: NodeJS.WriteStream): string {
	const columns = (milliseconds: number): number => Math.round((milliseconds / Math.max(whole, 0.1)) * width);
	const length = Math.max(1, columns(phase.duration));
	const before = Math.min(columns(phase.start), width - length);
	const bar = paint(colours[phase.name], '█'.repeat(length), stream);
	const words = `*   ${title.padEnd(9)} ${phase.name}`.padEnd(widthOfWords);
	const rest = ' '.repeat(width - before - length);
	return `${words}${' '.repeat(before)}${bar}${rest}${figure(phase.duration).padStart(widthOfFigure)}`;
}

function endOf({start, duration}: Phase): number {
	return start + duration;
}

/** `0.4 ms`, `88 ms`, `1.25 s`. */
function figure(milliseconds: number): string {
	if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`;
	return `${milliseconds < 10 ? Math.round(milliseconds * 10) / 10 : Math.round(milliseconds)} ms`;
}
