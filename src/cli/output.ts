/** Writing to the terminal: results go to stdout, everything about them to stderr. */
import {relative} from 'node:path';
import process from 'node:process';
import {styleText} from 'node:util';
import {wrapLines} from './wrap.ts';

type Format = Parameters<typeof styleText>[0];

/** The result of a command, for a person: on a terminal no line is longer than that is wide. */
export function print(text: string): void {
	printAsItIs(wrapLines(text));
}

/** A result that somebody copies, or a program reads. */
export function printAsItIs(text: string): void {
	process.stdout.write(`${text}\n`);
}

/** The result of a command, for a machine. */
export function printJson(value: unknown): void {
	printAsItIs(JSON.stringify(value, null, 2));
}

/** Something about the result, as {@link print} writes. */
export function note(text: string): void {
	noteAsItIs(wrapLines(text, '', process.stderr));
}

/** Something for a program, or for whoever looks for a fault. */
export function noteAsItIs(text: string): void {
	process.stderr.write(`${text}\n`);
}

/** Colour on a terminal, nothing elsewhere. Heeds NO_COLOR and FORCE_COLOR. */
export function paint(format: Format, text: string, stream: NodeJS.WriteStream = process.stdout): string {
	return styleText(format, text, {stream});
}

/** A path, or `file:line`, as it is shortest from here. */
export function shortPath(path: string): string {
	if (!path.startsWith('/')) return path;
	const fromHere = relative(process.cwd(), path);
	return fromHere !== '' && fromHere.length < path.length ? fromHere : path;
}

/** `2 rules`, `1 rule`. */
export function count(number: number, noun: string): string {
	return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** `2026-11-23 18:01 UTC (in 23 hours)`. */
export function describeTime(time: number, now = Date.now()): string {
	const absolute = new Date(time).toISOString().slice(0, 16).replace('T', ' ');
	return `${absolute} UTC (${describeDistance(time - now)})`;
}

/** `in 23 hours`, `2 days ago`. */
export function describeDistance(milliseconds: number): string {
	const minutes = milliseconds / 60_000;
	if (Math.abs(minutes) < 90) return distance(Math.round(minutes), 'minute');
	if (Math.abs(minutes) < 48 * 60) return distance(Math.round(minutes / 60), 'hour');
	return distance(Math.round(minutes / 1440), 'day');
}

/** As Intl.RelativeTimeFormat says it, which takes ten milliseconds to load its words. */
function distance(amount: number, unit: string): string {
	const size = Math.abs(amount);
	const words = `${String(size).replace(/\B(?=(?:\d{3})+$)/g, ',')} ${unit}${size === 1 ? '' : 's'}`;
	return amount < 0 || Object.is(amount, -0) ? `${words} ago` : `in ${words}`;
}

/**
 * A reader that goes away, as `| head` does, has seen what it wanted: end quietly. Without a listener the error
 * would be thrown at nobody.
 */
export function endWithReader(): void {
	for (const stream of [process.stdout, process.stderr]) {
		stream.on('error', (error: NodeJS.ErrnoException) => {
			if (error.code === 'EPIPE') process.exit();
			throw error;
		});
	}
}
