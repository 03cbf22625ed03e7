/** gatepass over undici and fetch, beside undici and fetch alone with the header written in, and beside `gatepass.got`. */
import {startChild} from './child.ts';
import {type Row, spread, verdictOf} from './report.ts';
import type {Round} from './throughput-client.ts';
import {describeRounds, mediansOf, ratioOf, takeRounds} from './throughput-rounds.ts';
import type {ServerAddresses} from './throughput-server.ts';

const groups = 3;

interface Target {
	readonly rate: number;
	/** CPU of the client's process for one request. */
	readonly cpu?: number;
}

export async function measureClients(): Promise<Row[]> {
	const {child: server, greeting: addresses} = await startChild<ServerAddresses>(
		'throughput-server.ts',
		null,
	);
	try {
		const [undici = [], got = [], bare = []] = await takeRounds(
			'api',
			['gatepass.dispatcher', 'gatepass', 'bare undici'],
			addresses,
			groups,
		);
		const [fetched = [], bareFetch = []] = await takeRounds(
			'api',
			['gatepass.fetch', 'bare fetch'],
			addresses,
			groups,
		);
		const [undiciTls = [], gotTls = []] = await takeRounds(
			'mtls',
			['gatepass.dispatcher', 'gatepass'],
			addresses,
			groups,
		);
		const dispatcher = 'undici.request over gatepass.dispatcher, cached token';
		return [
			toRow(dispatcher, undici, {'bare undici.request': bare}, {rate: 0.95, cpu: 1.1}),
			toRow('the same', undici, {'gatepass.got': got}, {rate: 4}),
			toRow('the same, a client certificate', undiciTls, {'gatepass.got': gotTls}, {rate: 3}),
			toRow('gatepass.fetch, cached token', fetched, {'bare fetch': bareFetch}, {rate: 0.95}),
		];
	} finally {
		await server.close();
	}
}

function toRow(name: string, ours: readonly Round[], beside: Record<string, Round[]>, target: Target): Row {
	const [[peer, theirs] = ['', []]] = Object.entries(beside);
	const rate = ratioOf(ours, theirs, 'rate');
	const cpu = ratioOf(ours, theirs, 'cpu');
	const {cpu: mostCpu = Number.POSITIVE_INFINITY} = target;
	return {
		group: 'clients',
		name: `${name}, 50 at a time`,
		target: `at least ${target.rate} x${target.cpu === undefined ? '' : `, at most ${target.cpu} x the CPU`}`,
		measured: `${spread(rate)} x, ${cpu.median.toFixed(2)} x the CPU`,
		ours: describeRounds(ours),
		theirs: `${describeRounds(theirs)} for ${peer}`,
		verdict: verdictOf(rate.median >= target.rate && cpu.median <= mostCpu),
		figures: {rate, cpu, ours: mediansOf(ours), theirs: mediansOf(theirs)},
	};
}
