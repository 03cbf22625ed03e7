/** Has the sides of a throughput row take turns, in processes of their own. */
import {type Child, startChild} from './child.ts';
import {count} from './report.ts';
import {medianOf, type Summary, summarise} from './statistics.ts';
import type {ClientSettings, Round} from './throughput-client.ts';
import type {ServerAddresses} from './throughput-server.ts';
import {takeTurns} from './turns.ts';

const roundsInGroup = 30;
const warmUpRounds = 16;

/** Those of undici and fetch take a fraction of the time, and a round should last. */
const requestsInRound = (side: ClientSettings['side']): number =>
	side === 'gatepass' || side === 'bare got' ? 200 : 800;

/**
 * What each side gave in each round that counts.
 *
 * @param groups of processes: each is compiled and laid out in memory again; one alone may be lucky.
 */
export async function takeRounds<Side extends ClientSettings['side']>(
	server: ClientSettings['server'],
	sides: readonly Side[],
	addresses: ServerAddresses,
	groups: number,
): Promise<Round[][]> {
	const rounds: Round[][] = sides.map(() => []);
	for (let group = 0; group < groups; group++) {
		const clients: Child[] = [];
		try {
			for (const side of sides) {
				clients.push((await startChild('throughput-client.ts', {side, server, addresses})).child);
			}
			const turns = {warmUp: warmUpRounds, counted: roundsInGroup};
			const sent = await takeTurns(
				clients.map((client, index) => () => client.ask<Round>(requestsInRound(sides[index] as Side))),
				turns,
			);
			for (const [index, side] of sent.entries()) rounds[index]?.push(...side);
		} finally {
			await Promise.all(clients.map(client => client.close()));
		}
	}
	return rounds;
}

/** A figure of two sides, of the rounds that stood beside each other. */
export function ratioOf(ours: readonly Round[], theirs: readonly Round[], figure: keyof Round): Summary {
	return summarise(ours.map((round, index) => round[figure] / (theirs[index]?.[figure] ?? 0)));
}

export function mediansOf(rounds: readonly Round[]): Round {
	return {rate: medianOf(rounds.map(({rate}) => rate)), cpu: medianOf(rounds.map(({cpu}) => cpu))};
}

export function describeRounds(rounds: readonly Round[]): string {
	const {rate, cpu} = mediansOf(rounds);
	return `${count(rate)}/s, ${cpu.toFixed(0)} µs of CPU`;
}
