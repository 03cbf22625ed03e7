/** In a process of its own: gatepass or a peer, making as many requests as it is told, so many at a time. */
import {performance} from 'node:perf_hooks';
import {answerParent, tellParent} from './child.ts';
import {type OpenPeer, openPeer, type PeerSettings, type TokenPeer} from './token-peers.ts';

/** `open`: begin again, without a token. `burst`: make requests. */
export type TokenClientOrder =
	| ({readonly does: 'open'; readonly peer: TokenPeer} & PeerSettings)
	| ({readonly does: 'burst'} & Burst);

export interface Burst {
	readonly requests: number;
	/** How many of them are under way at once. */
	readonly atOnce: number;
}

export interface BurstResult {
	/** Requests a second. */
	readonly rate: number;
	/** Microseconds of this process's CPU time for one request. */
	readonly cpu: number;
}

let current: OpenPeer | undefined;

async function burst({requests, atOnce}: Burst): Promise<BurstResult> {
	let left = requests;
	const callUntilNoneIsLeft = async (): Promise<void> => {
		while (left > 0) {
			left -= 1;
			await current?.call();
		}
	};
	const cpuBefore = process.cpuUsage();
	const start = performance.now();
	await Promise.all(Array.from({length: atOnce}, callUntilNoneIsLeft));
	const milliseconds = performance.now() - start;
	const {user, system} = process.cpuUsage(cpuBefore);
	return {rate: (requests / milliseconds) * 1000, cpu: (user + system) / requests};
}

answerParent(async (order: TokenClientOrder): Promise<BurstResult | 'open'> => {
	if (order.does === 'burst') return burst(order);
	await current?.close();
	const {does: _, peer, ...settings} = order;
	current = await openPeer(peer, settings);
	return 'open';
});
tellParent('ready');
