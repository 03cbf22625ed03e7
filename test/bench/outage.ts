/**
 * The token endpoint is down for a minute, under load, while the cache has valid tokens of five minutes: no request
 * fails. The clocks of all processes go faster, so that the minutes pass in seconds.
 */
import {setTimeout as delay} from 'node:timers/promises';
import {type Child, startChild} from './child.ts';
import type {OutageClientOrder, OutageClientSettings, OutageCounts} from './outage-client.ts';
import type {QuickClock} from './quick-clock.ts';
import {count, type Row, verdictOf} from './report.ts';
import type {TokenServerAddresses, TokenServerOrder, TokenServerSettings} from './token-server.ts';

const speed = 25;
/** Seconds, by that clock. */
const lifetime = 300;
const outage = 60;
/** The first tokens were issued so long before: some were renewed by then, most are due while the server is down. */
const before = 225;
/** Long enough for the tokens that were there at the outage to end. */
const after = 90;
const tenants = 20;
const stagger = 5;

export async function measureOutage(): Promise<Row[]> {
	const clock: QuickClock = {since: Date.now(), speed};
	const {child: server, greeting: addresses} = await startChild<TokenServerAddresses>('token-server.ts', {
		lifetime,
		clock,
	} satisfies TokenServerSettings);
	const {child: client} = await startChild('outage-client.ts', {
		addresses,
		clock,
		tenants,
		stagger: (stagger * 1000) / speed,
		pause: 20,
	} satisfies OutageClientSettings);
	try {
		const tell = (order: TokenServerOrder): Promise<unknown> => server.ask(order);
		await pass(before);
		const up = await askFor(client, 'count');
		const begun = performance.now();
		await tell('down');
		await pass(outage);
		const down = await askFor(client, 'count');
		await tell('up');
		const seconds = ((performance.now() - begun) / 1000) * speed;
		await pass(after);
		const upAgain = await askFor(client, 'end');
		return [toRow(up, down, upAgain, seconds)];
	} finally {
		await Promise.all([client.close(), server.close()]);
	}
}

function pass(seconds: number): Promise<void> {
	return delay((seconds * 1000) / speed);
}

function askFor(client: Child, order: OutageClientOrder): Promise<OutageCounts> {
	return client.ask<OutageCounts>(order);
}

function toRow(up: OutageCounts, down: OutageCounts, upAgain: OutageCounts, seconds: number): Row {
	const all = [up, down, upAgain];
	const sum = (of: (counts: OutageCounts) => number): number => all.map(of).reduce((a, b) => a + b);
	const failed = sum(counts => counts.failed);
	const texts = [...new Set(all.flatMap(({failures}) => failures))];
	// Without renewals that failed, nothing was shown.
	if (down.failedRenewals === 0) throw new Error('No token was due while the token endpoint was down');
	return {
		group: 'outage',
		name: `token endpoint down for a minute, tokens of ${lifetime / 60} minutes (${speed} times as fast)`,
		target: 'no request fails',
		measured: `${count(failed)} of ${count(sum(counts => counts.requests))} requests failed${texts.length > 0 ? `: ${texts.join('; ')}` : ''}`,
		ours: `${count(down.requests)} requests in the ${seconds.toFixed(0)} s, ${count(down.failed)} failed`,
		theirs: `${count(down.failedRenewals)} renewals failed meanwhile, ${count(upAgain.renewals)} succeeded after it`,
		verdict: verdictOf(failed === 0),
		figures: {tenants, speed, lifetime, outageSeconds: seconds, up, down, upAgain},
	};
}
