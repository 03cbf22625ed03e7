/** Requests signed by AWS's Signature Version 4, with a body of 1 KB: the CPU of the client's process, on all sides over undici. */
import {type Child, startChild} from './child.ts';
import {type Row, spread, verdictOf} from './report.ts';
import type {SigningSettings, SigningSide} from './signing-client.ts';
import {medianOf, type Summary, summarise} from './statistics.ts';
import {takeTurns} from './turns.ts';

const groups = 3;
const turns = {warmUp: 12, counted: 25};
const requestsInRound = 400;
const mostMicroseconds = 60;
const smallestRatio = 1.2;

const sides: readonly SigningSide[] = ['gatepass', 'aws4', '@smithy/signature-v4', 'unsigned'];

export async function measureSigning(): Promise<Row[]> {
	const {child: server, greeting: url} = await startChild<string>('signing-server.ts', null);
	/** Microseconds of CPU for one request, by round and side. */
	const rounds: number[][] = sides.map(() => []);
	try {
		for (let group = 0; group < groups; group++) {
			const clients: Child[] = [];
			try {
				for (const side of sides) {
					const settings: SigningSettings = {side, url};
					clients.push((await startChild('signing-client.ts', settings)).child);
				}
				const sent = await takeTurns(
					clients.map(client => () => client.ask<number>(requestsInRound)),
					turns,
				);
				for (const [index, side] of sent.entries()) rounds[index]?.push(...side);
			} finally {
				await Promise.all(clients.map(client => client.close()));
			}
		}
	} finally {
		await server.close();
	}
	const [ours = [], aws4 = [], smithy = [], unsigned = []] = rounds;
	const above = (side: readonly number[]): Summary =>
		summarise(side.map((cpu, index) => cpu - (unsigned[index] ?? 0)));
	const [own, theirs] = [above(ours), {aws4: above(aws4), smithy: above(smithy)}];
	const ratios = {aws4: theirs.aws4.median / own.median, smithy: theirs.smithy.median / own.median};
	const isAhead = Math.max(ratios.aws4, ratios.smithy) >= smallestRatio;
	const beside = (name: keyof typeof ratios, peer: string): Row => ({
		group: 'signing',
		name: `what a signature costs ${peer}, beside gatepass with all that it does`,
		target: `at least ${smallestRatio} x beside one of them`,
		measured: `${ratios[name].toFixed(2)} x`,
		ours: `${own.median.toFixed(0)} µs`,
		theirs: `${spread(theirs[name], 0)} µs`,
		verdict: verdictOf(isAhead),
		figures: {ratio: ratios[name], ours: own, theirs: theirs[name]},
	});
	return [
		{
			group: 'signing',
			name: 'a signed request of 1 KB above an unsigned one of bare undici',
			target: `at most ${mostMicroseconds} µs of CPU`,
			measured: `${spread(own, 0)} µs`,
			ours: `${medianOf(ours).toFixed(0)} µs of CPU`,
			theirs: `${medianOf(unsigned).toFixed(0)} µs unsigned`,
			verdict: verdictOf(own.median <= mostMicroseconds),
			figures: {above: own, ours: medianOf(ours), unsigned: medianOf(unsigned)},
		},
		beside('aws4', 'aws4'),
		beside('smithy', '@smithy/signature-v4'),
	];
}
