/** A thousand calls at once in a process that has no token: how many token requests the server sees. */
import {startChild} from './child.ts';
import {count, type Row, verdictOf} from './report.ts';
import type {TokenClientOrder} from './token-client.ts';
import type {TokenPeer} from './token-peers.ts';
import type {TokenServerAddresses, TokenServerCounts, TokenServerOrder} from './token-server.ts';

const calls = 1000;
const connections = 50;

export async function measureColdCalls(): Promise<Row[]> {
	const {child: server, greeting: addresses} = await startChild<TokenServerAddresses>('token-server.ts', {
		lifetime: 3600,
	});
	const {child: client} = await startChild('token-client.ts', null);
	const tokenRequestsOf = async (peer: TokenPeer): Promise<number> => {
		await client.ask({does: 'open', peer, addresses, connections} satisfies TokenClientOrder);
		await client.ask({does: 'burst', requests: calls, atOnce: calls} satisfies TokenClientOrder);
		const {tokenRequests, served} = await server.ask<TokenServerCounts>('count' satisfies TokenServerOrder);
		if (served !== calls) throw new Error(`${peer}: ${served} of ${calls} requests were served`);
		return tokenRequests;
	};
	try {
		const ours = await tokenRequestsOf('gatepass');
		const theirs: Partial<Record<TokenPeer, number>> = {};
		for (const peer of ['openid-client', 'simple-oauth2', 'google-auth-library'] as const) {
			theirs[peer] = await tokenRequestsOf(peer);
		}
		return [toRow(ours, theirs)];
	} finally {
		await Promise.all([client.close(), server.close()]);
	}
}

function toRow(ours: number, theirs: Partial<Record<TokenPeer, number>>): Row {
	return {
		group: 'cold',
		name: `${count(calls)} cold calls at once: token requests`,
		target: '1',
		measured: count(ours),
		ours: count(ours),
		theirs: Object.entries(theirs)
			.map(([peer, requests]) => `${count(requests)} for ${peer}`)
			.join(', '),
		verdict: verdictOf(ours === 1),
		figures: {calls, ours, theirs},
	};
}
