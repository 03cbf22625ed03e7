/** One side of the rows about client certificates: as many requests as it is told, 50 at a time, each checked for its subject. */
import {subscribe} from 'node:diagnostics_channel';
import {readFileSync} from 'node:fs';
import {Agent} from 'node:https';
import {performance} from 'node:perf_hooks';
import {createGatepass} from 'gatepass';
import got, {type Got} from 'got';
import type {CertificateFiles} from '../../src/testing/authority.ts';
import {answerParent, childArgument, tellParent} from './child.ts';
import type {Round} from './throughput-client.ts';

export interface CertificateClientSettings {
	readonly side: 'gatepass' | 'bare got';
	readonly url: string;
	/** PEM file of the server's CA. */
	readonly ca: string;
	/** In turn, each for a path of its own. Bare got has the first one for all. */
	readonly identities: readonly (CertificateFiles & {readonly subject: string})[];
}

export interface CertificateRound extends Round {
	/** How many connections were made for them. */
	readonly sockets: number;
}

const concurrency = 50;
const {side, url, ca, identities} = childArgument<CertificateClientSettings>();
const client = side === 'gatepass' ? await throughGatepass() : throughOwnAgent();

async function throughGatepass(): Promise<Got> {
	const gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			trust: [{match: url, ca, only: true}],
			hostRules: identities.map(({certificate, key}, index) => ({
				match: `${url}/${index}`,
				strategy: 'grid-certificate',
				options: {certificate, key},
			})),
		},
	});
	return gatepass.got;
}

function throughOwnAgent(): Got {
	const [identity] = identities;
	if (identity === undefined) throw new Error('There is no identity');
	const [cert, key] = [identity.certificate, identity.key].map(file => readFileSync(file));
	return got.extend({agent: {https: new Agent({cert, key, ca: readFileSync(ca), keepAlive: true})}});
}

let sockets = 0;
subscribe('net.client.socket', () => {
	sockets += 1;
});

answerParent(async (requests: number): Promise<CertificateRound> => {
	const socketsBefore = sockets;
	let next = 0;
	const sendUntilNoneIsLeft = async (): Promise<void> => {
		while (next < requests) {
			const index = next++ % identities.length;
			const {headers} = await client(`${url}/${index}/page`);
			if (headers['x-client-dn'] !== identities[index]?.subject) {
				throw new Error(`Request ${index} was answered to ${headers['x-client-dn']}`);
			}
		}
	};
	const cpuBefore = process.cpuUsage();
	const start = performance.now();
	await Promise.all(Array.from({length: concurrency}, sendUntilNoneIsLeft));
	const milliseconds = performance.now() - start;
	const {user, system} = process.cpuUsage(cpuBefore);
	return {
		rate: (requests / milliseconds) * 1000,
		cpu: (user + system) / requests,
		sockets: sockets - socketsBefore,
	};
});
tellParent('ready');
