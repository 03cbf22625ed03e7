/** `gatepass.got` against bare got with the header written into it: requests a second, 50 at a time, on loopback. */
import {startChild} from './child.ts';
import {type Row, spread, verdictOf} from './report.ts';
import type {Round} from './throughput-client.ts';
import {describeRounds, mediansOf, ratioOf, takeRounds} from './throughput-rounds.ts';
import type {ServerAddresses} from './throughput-server.ts';

const groups = 4;
const smallestRatio = 0.97;

export async function measureThroughput(): Promise<Row[]> {
	const {child: server, greeting: addresses} = await startChild<ServerAddresses>(
		'throughput-server.ts',
		null,
	);
	try {
		const [token = [], noise = [], bare = []] = await takeRounds(
			'api',
			['gatepass', 'bare got', 'bare got'],
			addresses,
			groups,
		);
		const [kerberos = [], beside = []] = await takeRounds(
			'negotiate',
			['gatepass', 'bare got'],
			addresses,
			groups / 2,
		);
		return [
			toRow('gatepass.got, cached token, 50 at a time', token, bare, smallestRatio),
			toRow('bare got beside itself: the noise of this run', noise, bare),
			toRow('gatepass.got, Kerberos stub, server proven', kerberos, beside),
		];
	} finally {
		await server.close();
	}
}

function toRow(name: string, ours: readonly Round[], theirs: readonly Round[], smallest?: number): Row {
	const ratio = ratioOf(ours, theirs, 'rate');
	return {
		group: 'throughput',
		name,
		target: smallest === undefined ? '' : `at least ${smallest} x`,
		measured: `${spread(ratio)} x`,
		ours: describeRounds(ours),
		theirs: `${describeRounds(theirs)} for bare got`,
		verdict: smallest === undefined ? 'no target' : verdictOf(ratio.median >= smallest),
		figures: {ratio, ours: mediansOf(ours), bareGot: mediansOf(theirs)},
	};
}
