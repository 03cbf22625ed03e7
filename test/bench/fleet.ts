/** Eight processes that share one store, each with a thousand calls at once and no token: the server sees one request. */
import {randomBytes} from 'node:crypto';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {performance} from 'node:perf_hooks';
import type {RealServer} from '../servers/availability.ts';
import {postgresServer, startPostgres} from '../servers/postgres.ts';
import {redisServer, startRedis} from '../servers/redis.ts';
import {type Child, startChild} from './child.ts';
import {count, type Row, verdictOf} from './report.ts';
import type {TokenClientOrder} from './token-client.ts';
import type {TokenServerAddresses, TokenServerCounts, TokenServerOrder} from './token-server.ts';

const size = 8;
const calls = 1000;
const connections = 50;

interface Store {
	readonly name: string;
	/** What has to be installed for it. */
	readonly needs?: RealServer;
	/** Starts it, empty. */
	start(): Promise<{url: string; close(): Promise<void>}>;
}

const stores: readonly Store[] = [
	{
		name: 'one sqlite file',
		async start() {
			const folder = await mkdtemp(join(tmpdir(), 'gatepass-bench-'));
			return {
				url: `sqlite:${join(folder, 'tokens.sqlite')}`,
				close: () => rm(folder, {recursive: true, force: true}),
			};
		},
	},
	{name: 'one Redis', needs: redisServer, start: startRedis},
	{name: 'one PostgreSQL', needs: postgresServer, start: startPostgres},
];

export async function measureFleet(): Promise<Row[]> {
	const {child: server, greeting: addresses} = await startChild<TokenServerAddresses>('token-server.ts', {
		lifetime: 3600,
	});
	const fleet: Child[] = [];
	try {
		for (let index = 0; index < size; index++) fleet.push((await startChild('token-client.ts', null)).child);
		const rows: Row[] = [];
		for (const store of stores) {
			const reason = store.needs?.whyUnavailable();
			rows.push(
				reason === undefined
					? await measureStore(store, fleet, server, addresses)
					: skipped(store, `${reason}; ${store.needs?.install}`),
			);
		}
		return rows;
	} finally {
		await Promise.all([server, ...fleet].map(child => child.close()));
	}
}

async function measureStore(
	store: Store,
	fleet: readonly Child[],
	server: Child,
	addresses: TokenServerAddresses,
): Promise<Row> {
	const {url, close} = await store.start();
	try {
		const cache = {url, encryptionKey: randomBytes(32).toString('base64')};
		const open: TokenClientOrder = {does: 'open', peer: 'gatepass', addresses, connections, cache};
		const burst: TokenClientOrder = {does: 'burst', requests: calls, atOnce: calls};
		await Promise.all(fleet.map(member => member.ask(open)));
		await server.ask('count' satisfies TokenServerOrder);
		const begun = performance.now();
		await Promise.all(fleet.map(member => member.ask(burst)));
		const seconds = (performance.now() - begun) / 1000;
		const {tokenRequests, served} = await server.ask<TokenServerCounts>('count' satisfies TokenServerOrder);
		if (served !== size * calls) throw new Error(`${served} of ${size * calls} requests were served`);
		return {
			...headOf(store),
			measured: count(tokenRequests),
			ours: `${count(tokenRequests)} for ${count(served)} calls in ${seconds.toFixed(1)} s`,
			theirs: '',
			verdict: verdictOf(tokenRequests === 1),
			figures: {processes: size, calls: served, tokenRequests, seconds},
		};
	} finally {
		// The token cache lets go of the store before it goes away.
		const inMemory: TokenClientOrder = {does: 'open', peer: 'gatepass', addresses, connections};
		await Promise.all(fleet.map(member => member.ask(inMemory))).catch(() => {});
		await close();
	}
}

function skipped(store: Store, reason: string): Row {
	return {
		...headOf(store),
		measured: `skipped: ${reason}`,
		ours: '',
		theirs: '',
		verdict: 'no target',
		figures: {skipped: reason},
	};
}

function headOf({name}: Store): Pick<Row, 'group' | 'name' | 'target'> {
	return {
		group: 'fleet',
		name: `${size} processes x ${count(calls)} cold calls, ${name}: token requests`,
		target: '1',
	};
}
