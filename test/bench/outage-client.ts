/** In a process of its own: requests by many tenants, without a break, while the authorization server goes and comes. */
import {subscribe} from 'node:diagnostics_channel';
import {Agent} from 'node:http';
import {setTimeout as delay} from 'node:timers/promises';
import {createGatepass} from 'gatepass';
import got from 'got';
import {answerParent, childArgument, tellParent} from './child.ts';
import {type QuickClock, quickenClock} from './quick-clock.ts';
import type {TokenServerAddresses} from './token-server.ts';

export interface OutageClientSettings {
	readonly addresses: TokenServerAddresses;
	readonly clock: QuickClock;
	/** Each has a token of its own. */
	readonly tenants: number;
	/** Milliseconds between the first request of one tenant and that of the next. */
	readonly stagger: number;
	/** Milliseconds between a tenant's requests. */
	readonly pause: number;
}

/** `count`: tell how it goes, since the last count. `end`: the same, and make no more requests. */
export type OutageClientOrder = 'count' | 'end';

export interface OutageCounts {
	readonly requests: number;
	/** What went wrong with those that failed, each text once. */
	readonly failures: readonly string[];
	readonly failed: number;
	/** Renewals in the background that failed. */
	readonly failedRenewals: number;
	readonly renewals: number;
}

const {addresses, clock, tenants, stagger, pause} = childArgument<OutageClientSettings>();
quickenClock(clock);

const none = (): OutageCounts => ({requests: 0, failures: [], failed: 0, failedRenewals: 0, renewals: 0});
let counts = none();
let isEnding = false;

const gatepass = await createGatepass({
	got: got.extend({agent: {http: new Agent({keepAlive: true})}, retry: {limit: 0}}),
	config: {
		cache: {url: 'memory:'},
		hostRules: [
			{
				match: addresses.api,
				strategy: 'sso-client-credentials',
				options: {clientId: 'bench', clientSecret: 'bench-secret', tokenEndpoint: addresses.tokenEndpoint},
			},
		],
	},
});
subscribe('gatepass:token:error', () => {
	counts = {...counts, failedRenewals: counts.failedRenewals + 1};
});
subscribe('gatepass:token:refresh', () => {
	counts = {...counts, renewals: counts.renewals + 1};
});

async function useTenant(number: number): Promise<void> {
	const context = {gatepass: {tenant: `tenant-${number}`}};
	await delay(number * stagger);
	while (!isEnding) {
		counts = {...counts, requests: counts.requests + 1};
		try {
			await gatepass.got(addresses.api, {context}).json();
		} catch (error) {
			const failures = [...new Set([...counts.failures, String(error)])];
			counts = {...counts, failures, failed: counts.failed + 1};
		}
		await delay(pause);
	}
}

const load = Promise.all(Array.from({length: tenants}, (_, number) => useTenant(number)));
answerParent(async (order: OutageClientOrder): Promise<OutageCounts> => {
	if (order === 'end') {
		isEnding = true;
		await load;
	}
	const counted = counts;
	counts = none();
	return counted;
});
tellParent('ready');
