/** `gatepass.got` against bare got with the header written into it: requests a second, 50 at a time, on loopback. */
import {type Child, startChild} from './child.ts';
import {count, type Row, spread, verdictOf} from './report.ts';
import {medianOf, type Summary, summarise} from './statistics.ts';
import type {ClientSettings, Round} from './throughput-client.ts';
import type {ServerAddresses} from './throughput-server.ts';
import {takeTurns} from './turns.ts';

/** Each group of processes is compiled and laid out in memory again; one alone may be lucky. */
const groups = 4;
const roundsInGroup = 30;
const requestsInRound = 200;
const warmUpRounds = 16;
const smallestRatio = 0.97;

interface Comparison {
	/** Of the rates of two rounds that stood beside each other. */
	readonly ratio: Summary;
	readonly ours: readonly Round[];
	readonly theirs: readonly Round[];
}

export async function measureThroughput(): Promise<Row[]> {
	const {child: server, greeting: addresses} = await startChild<ServerAddresses>(
		'throughput-server.ts',
		null,
	);
	try {
		const [token, noise] = await compareSides('api', ['gatepass', 'bare got', 'bare got'], addresses, groups);
		const [kerberos] = await compareSides('negotiate', ['gatepass', 'bare got'], addresses, groups / 2);
		return [
			toRow('gatepass.got, cached token, 50 at a time', token, smallestRatio),
			toRow('bare got beside itself: the noise of this run', noise),
			toRow('gatepass.got, Kerberos stub, server proven', kerberos),
		];
	} finally {
		await server.close();
	}
}

/** The first side, and each further one but the last, against the last. */
async function compareSides(
	server: ClientSettings['server'],
	sides: readonly ClientSettings['side'][],
	addresses: ServerAddresses,
	times: number,
): Promise<Comparison[]> {
	const rounds: Round[][] = sides.map(() => []);
	for (let time = 0; time < times; time++) {
		const clients: Child[] = [];
		try {
			for (const side of sides) {
				clients.push((await startChild('throughput-client.ts', {side, server, addresses})).child);
			}
			const turns = {warmUp: warmUpRounds, counted: roundsInGroup};
			const sent = await takeTurns(
				clients.map(client => () => client.ask<Round>(requestsInRound)),
				turns,
			);
			for (const [index, side] of sent.entries()) rounds[index]?.push(...side);
		} finally {
			await Promise.all(clients.map(client => client.close()));
		}
	}
	const theirs = rounds.at(-1) ?? [];
	return rounds.slice(0, -1).map(ours => ({
		ratio: summarise(ours.map(({rate}, index) => rate / (theirs[index]?.rate ?? 0))),
		ours,
		theirs,
	}));
}

function toRow(name: string, comparison: Comparison | undefined, smallest?: number): Row {
	if (comparison === undefined) throw new Error(`${name}: nothing was measured`);
	const {ratio, ours, theirs} = comparison;
	return {
		group: 'throughput',
		name,
		target: smallest === undefined ? '' : `at least ${smallest} x`,
		measured: `${spread(ratio)} x`,
		ours: describe(ours),
		theirs: `${describe(theirs)} for bare got`,
		verdict: smallest === undefined ? 'no target' : verdictOf(ratio.median >= smallest),
		figures: {ratio, ours: mediansOf(ours), bareGot: mediansOf(theirs)},
	};
}

function mediansOf(rounds: readonly Round[]): Round {
	return {rate: medianOf(rounds.map(({rate}) => rate)), cpu: medianOf(rounds.map(({cpu}) => cpu))};
}

function describe(rounds: readonly Round[]): string {
	const {rate, cpu} = mediansOf(rounds);
	return `${count(rate)}/s, ${cpu.toFixed(0)} µs of CPU`;
}
