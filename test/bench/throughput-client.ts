/** One side of the throughput row: sends as many requests as it is told, 50 at a time, and says how long that took. */
import {Agent} from 'node:http';
import {performance} from 'node:perf_hooks';
import {createGatepass} from 'gatepass';
import got, {type Got} from 'got';
import {answerParent, childArgument, tellParent} from './child.ts';
import type {ServerAddresses} from './throughput-server.ts';

export interface ClientSettings {
	readonly side: 'gatepass' | 'bare got';
	readonly server: 'api' | 'negotiate';
	readonly addresses: ServerAddresses;
}

export interface Round {
	/** Requests a second. */
	readonly rate: number;
	/** Microseconds of this process's CPU time for one request. */
	readonly cpu: number;
}

const concurrency = 50;
const {side, server, addresses} = childArgument<ClientSettings>();
const url = addresses[server];

const gatepass = await createGatepass({
	config: {
		cache: {url: 'memory:'},
		hostRules: [
			{
				match: addresses.api,
				strategy: 'sso-client-credentials',
				options: {clientId: 'bench', clientSecret: 'secret', tokenEndpoint: addresses.tokenEndpoint},
			},
			{match: addresses.negotiate, strategy: 'kerberos-stub', options: {preemptive: true}},
		],
	},
});
const {headers} = await gatepass.authorize(url);

/** The same agent settings on both sides; the bare side has the header that gatepass would add. */
const agent = {http: new Agent({keepAlive: true, maxSockets: concurrency})};
const client: Got = side === 'gatepass' ? gatepass.got.extend({agent}) : got.extend({agent, headers});

answerParent(async (requests: number): Promise<Round> => {
	let left = requests;
	const sendUntilNoneIsLeft = async (): Promise<void> => {
		while (left > 0) {
			left -= 1;
			await client(url).json();
		}
	};
	const cpuBefore = process.cpuUsage();
	const start = performance.now();
	await Promise.all(Array.from({length: concurrency}, sendUntilNoneIsLeft));
	const milliseconds = performance.now() - start;
	const {user, system} = process.cpuUsage(cpuBefore);
	return {rate: (requests / milliseconds) * 1000, cpu: (user + system) / requests};
});
tellParent('ready');
