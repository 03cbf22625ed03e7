/** One side of a throughput row: sends as many requests as it is told, 50 at a time, and says how long that took. */
import {Agent} from 'node:http';
import {performance} from 'node:perf_hooks';
import {createGatepass} from 'gatepass';
import got, {type Got} from 'got';
import {Agent as Dispatcher, request} from 'undici';
import {answerParent, childArgument, tellParent} from './child.ts';
import type {ServerAddresses} from './throughput-server.ts';

export interface ClientSettings {
	/** `gatepass` and `bare got` send by got. */
	readonly side:
		| 'gatepass'
		| 'bare got'
		| 'gatepass.dispatcher'
		| 'bare undici'
		| 'gatepass.fetch'
		| 'bare fetch';
	/** `mtls`: over TLS with a client certificate, which the bare sides do not have. */
	readonly server: 'api' | 'negotiate' | 'mtls';
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
const {mtls} = addresses;
const url = server === 'mtls' ? `${mtls.url}/runs` : addresses[server];

const gatepass = await createGatepass({
	config: {
		cache: {url: 'memory:'},
		trust: [{match: mtls.url, ca: mtls.ca, only: true}],
		hostRules: [
			{
				match: addresses.api,
				strategy: 'sso-client-credentials',
				options: {clientId: 'bench', clientSecret: 'secret', tokenEndpoint: addresses.tokenEndpoint},
			},
			{match: addresses.negotiate, strategy: 'kerberos-stub', options: {preemptive: true}},
			{match: mtls.url, strategy: 'grid-certificate', options: mtls.client},
		],
	},
});
/** The bare sides have the header that gatepass would add. */
const {headers} = await gatepass.authorize(url);

const send = sender();

function sender(): () => Promise<unknown> {
	switch (side) {
		case 'gatepass':
		case 'bare got': {
			// The same agent settings on both sides.
			const agent = {http: new Agent({keepAlive: true, maxSockets: concurrency})};
			const client: Got = side === 'gatepass' ? gatepass.got.extend({agent}) : got.extend({agent, headers});
			return () => client(url).json();
		}
		case 'gatepass.dispatcher': {
			const {dispatcher} = gatepass;
			return async () => (await request(url, {dispatcher})).body.json();
		}
		case 'bare undici': {
			const dispatcher = new Dispatcher();
			return async () => (await request(url, {dispatcher, headers})).body.json();
		}
		case 'gatepass.fetch':
			return async () => (await gatepass.fetch(url)).json();
		case 'bare fetch':
			return async () => (await fetch(url, {headers})).json();
	}
}

answerParent(async (requests: number): Promise<Round> => {
	let left = requests;
	const sendUntilNoneIsLeft = async (): Promise<void> => {
		while (left > 0) {
			left -= 1;
			await send();
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
