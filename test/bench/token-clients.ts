/** gatepass beside its peers on one authorization server and one API: requests a second, with a token and from none. */
import {type Child, startChild} from './child.ts';
import {pythonRequests, startPythonClient} from './python-requests.ts';
import {count, type Row, spread, verdictOf} from './report.ts';
import {medianOf, type Summary, summarise} from './statistics.ts';
import type {BurstResult, TokenClientOrder} from './token-client.ts';
import type {TokenPeer} from './token-peers.ts';
import type {TokenServerAddresses} from './token-server.ts';

const peers = ['openid-client', 'simple-oauth2', 'google-auth-library'] as const;
const sides: readonly TokenPeer[] = ['gatepass', ...peers];
const connections = 50;

/** Rounds go on for that long, or until there are enough. The fewest make a median; the first are to warm up. */
interface Series {
	readonly requests: number;
	readonly warmUp: number;
	readonly fewest: number;
	readonly most: number;
	readonly milliseconds: number;
}

const warm: Series = {requests: 250, warmUp: 8, fewest: 9, most: 60, milliseconds: 7000};
const cold: Series = {requests: 200, warmUp: 1, fewest: 5, most: 15, milliseconds: 3000};
/** It is so much slower that few requests tell. */
const python: Series = {requests: 100, warmUp: 1, fewest: 3, most: 5, milliseconds: 1500};

export async function measureTokenClients(): Promise<Row[]> {
	const {child: server, greeting: addresses} = await startChild<TokenServerAddresses>('token-server.ts', {
		lifetime: 3600,
	});
	const clients: Child[] = [];
	try {
		for (const _ of sides) clients.push((await startChild('token-client.ts', null)).child);
		const open = async (index: number): Promise<void> => {
			const peer = sides[index] as TokenPeer;
			await clients[index]?.ask({does: 'open', peer, addresses, connections} satisfies TokenClientOrder);
		};
		for (const index of clients.keys()) await open(index);
		const burst = (index: number, requests: number): Promise<BurstResult> => {
			const order: TokenClientOrder = {does: 'burst', requests, atOnce: connections};
			return (clients[index] as Child).ask<BurstResult>(order);
		};
		const withToken = await takeTurns(warm, burst);
		const fromNone = await takeTurns(cold, async (index, requests) => {
			await open(index);
			return burst(index, requests);
		});
		const ours = () => burst(0, python.requests);
		return [
			...peers.map((peer, index) => toRow(`${peer}, with a token`, withToken[0], withToken[index + 1])),
			...peers.map((peer, index) =>
				toRow(`${peer}, the first ${cold.requests} requests`, fromNone[0], fromNone[index + 1]),
			),
			await measurePython(addresses, ours),
		];
	} finally {
		await Promise.all([server, ...clients].map(child => child.close()));
	}
}

/** One round of each side after the other, forwards and backwards in turn. */
async function takeTurns(
	{requests, warmUp, fewest, most, milliseconds}: Series,
	burst: (index: number, requests: number) => Promise<BurstResult>,
	count = sides.length,
): Promise<BurstResult[][]> {
	const results: BurstResult[][] = Array.from({length: count}, () => []);
	const end = performance.now() + milliseconds;
	for (let round = -warmUp; round < fewest || (round < most && performance.now() < end); round++) {
		const order = [...results.keys()];
		if (round % 2 !== 0) order.reverse();
		for (const index of order) {
			const result = await burst(index, requests);
			if (round >= 0) results[index]?.push(result);
		}
	}
	return results;
}

async function measurePython(
	addresses: TokenServerAddresses,
	ours: () => Promise<BurstResult>,
): Promise<Row> {
	const name = 'Python requests, a token for each call';
	const reason = pythonRequests.whyUnavailable();
	if (reason !== undefined) {
		return {
			...headOf(name),
			measured: `skipped: ${reason}; ${pythonRequests.install}`,
			ours: '',
			theirs: '',
			verdict: 'no target',
			figures: {skipped: reason},
		};
	}
	const client = await startPythonClient(
		'requests-client.py',
		addresses.tokenEndpoint,
		addresses.api,
		String(connections),
	);
	try {
		const burst = (index: number, requests: number) => (index === 0 ? ours() : client.burst(requests));
		const [mine, theirs] = await takeTurns(python, burst, 2);
		return toRow(name, mine, theirs);
	} finally {
		await client.close();
	}
}

function toRow(name: string, ours: readonly BurstResult[] = [], theirs: readonly BurstResult[] = []): Row {
	const ratio: Summary = summarise(ours.map(({rate}, index) => rate / (theirs[index]?.rate ?? 0)));
	return {
		...headOf(name),
		measured: `${spread(ratio)} x`,
		ours: describe(ours),
		theirs: describe(theirs),
		verdict: verdictOf(ratio.median > 1),
		figures: {ratio, rounds: ours.length, ours: mediansOf(ours), theirs: mediansOf(theirs)},
	};
}

function headOf(name: string): Pick<Row, 'group' | 'name' | 'target'> {
	return {group: 'token-clients', name: `gatepass beside ${name}`, target: 'more than 1 x'};
}

function mediansOf(rounds: readonly BurstResult[]): BurstResult {
	return {rate: medianOf(rounds.map(({rate}) => rate)), cpu: medianOf(rounds.map(({cpu}) => cpu))};
}

function describe(rounds: readonly BurstResult[]): string {
	const {rate, cpu} = mediansOf(rounds);
	return `${count(rate)}/s, ${cpu.toFixed(0)} µs of CPU`;
}
