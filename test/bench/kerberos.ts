/** `kerberos` through Apache with mod_auth_gssapi, beside requests-kerberos and curl; and contexts alone. */
import {spawnSync} from 'node:child_process';
import {setTimeout as pause} from 'node:timers/promises';
import {type ApacheNegotiate, apacheNegotiate, startApacheNegotiate} from '../servers/apache-negotiate.ts';
import type {RealServer} from '../servers/availability.ts';
import {mitKdc, startKdc} from '../servers/kdc.ts';
import {type Child, startChild} from './child.ts';
import {curl, curlBurst, curlCommands} from './curl.ts';
import type {KerberosClientSettings, KerberosOrder} from './kerberos-client.ts';
import {type PythonProcess, python, startPython} from './python-process.ts';
import {count, type Row, spread, verdictOf} from './report.ts';
import {medianOf, summarise} from './statistics.ts';
import type {BurstResult} from './token-client.ts';
import {type Turns, takeTurns} from './turns.ts';

const requestsKerberos: RealServer = {
	name: 'requests-kerberos',
	install: 'apt-get install python3-requests-kerberos python3-gssapi',
	whyUnavailable() {
		const {error, status} = spawnSync(python, ['-c', 'import requests_kerberos, gssapi'], {stdio: 'ignore'});
		if (error !== undefined) return `there is no program ${python}`;
		return status === 0 ? undefined : `${python} has no modules requests_kerberos and gssapi`;
	},
};

const manner = ['after a challenge', 'preemptively'] as const;
/** What 32 at a time over the dispatcher are to reach of curl. */
const fromDispatcher = {'after a challenge': 1.2, preemptively: 1.5};
const peers = ['requests-kerberos', 'curl'] as const;
const turns: Turns = {warmUp: 1, counted: 5};
const requestsInRound = {32: 160, 1: 50};
const contextsInRound = 1000;
/** Requests that get gatepass's code compiled. */
const compilation = 1500;

interface Setting {
	readonly does: (typeof manner)[number];
	readonly atOnce: 1 | 32;
	readonly cold: boolean;
}

interface Realm {
	readonly server: ApacheNegotiate;
	readonly url: string;
	readonly credentialCache: string;
	readonly gatepass: Child;
	readonly requests: PythonProcess;
}

export async function measureKerberos(): Promise<Row[]> {
	for (const {whyUnavailable, install} of [mitKdc, apacheNegotiate, requestsKerberos, curl]) {
		const reason = whyUnavailable();
		if (reason !== undefined) return [skipped(`${reason}; ${install}`)];
	}
	const open: {close(): Promise<void>}[] = [];
	const opened = <One extends {close(): Promise<void>}>(one: One): One => {
		open.push(one);
		return one;
	};
	const before = process.env.KRB5_CONFIG;
	try {
		const kdc = opened(await startKdc());
		process.env.KRB5_CONFIG = kdc.configuration;
		const server = opened(await startApacheNegotiate(kdc));
		const credentialCache = `FILE:${await kdc.ticket()}`;
		const url = `http://localhost:${server.ports.http}/negotiate`;
		const settings: KerberosClientSettings = {url, credentialCache};
		const {child} = await startChild('kerberos-client.ts', settings);
		const gatepass = opened(child);
		const environment = {KRB5CCNAME: credentialCache};
		const requests = opened(await startPython('kerberos-requests.py', [url], environment));
		const realm = {server, url, credentialCache, gatepass, requests};
		await compile(gatepass);
		const rows: Row[] = [];
		for (const cold of [false, true]) {
			for (const does of manner) {
				for (const atOnce of [32, 1] as const) rows.push(await measure(realm, {does, atOnce, cold}));
			}
		}
		for (const does of manner) {
			for (const atOnce of [32, 1] as const) rows.push(await measureDispatcher(realm, {does, atOnce}));
		}
		rows.push(await measureCommands(realm));
		const service = `HTTP/localhost@${kdc.realm}`;
		const library = opened(await startPython('kerberos-contexts.py', [credentialCache, service]));
		const floor = opened(await startPython('kerberos-contexts.py', [credentialCache, service, 'memory']));
		for (const atOnce of [32, 1]) rows.push(await measureContexts(gatepass, library, floor, atOnce));
		return rows;
	} finally {
		if (before === undefined) delete process.env.KRB5_CONFIG;
		else process.env.KRB5_CONFIG = before;
		for (const one of open.reverse()) await one.close();
	}
}

async function compile(gatepass: Child): Promise<void> {
	for (const by of ['got', 'dispatcher'] as const) {
		for (const does of manner) {
			const order: KerberosOrder = {does, requests: compilation, atOnce: 32, cold: false, by};
			await gatepass.ask<BurstResult>(order);
		}
	}
}

async function measure(realm: Realm, setting: Setting): Promise<Row> {
	const {url, credentialCache, gatepass, requests, server} = realm;
	const {does, atOnce, cold} = setting;
	const roundTrips = [0, 0, 0];
	const counted =
		(index: number, size: number, burst: () => Promise<BurstResult>) => async (): Promise<BurstResult> => {
			const earlier = await server.statuses();
			const result = await burst();
			roundTrips[index] = (await countNew(server, earlier, size)) / size;
			return result;
		};
	const size = requestsInRound[atOnce];
	// The start of curl is to count for little.
	const curlSize = size * 2;
	const order: KerberosOrder = {...setting, requests: size};
	const line = [size, atOnce, Number(does === 'preemptively'), Number(cold)].join(' ');
	const [ours = [], ...theirs] = await takeTurns(
		[
			counted(0, size, () => gatepass.ask<BurstResult>(order)),
			counted(1, size, () => requests.ask<BurstResult>(line)),
			counted(2, curlSize, async () => ({
				rate: await curlBurst(url, credentialCache, {requests: curlSize, atOnce, cold}),
				cpu: Number.NaN,
			})),
		],
		turns,
	);
	const ratios = theirs.map(rounds =>
		summarise(ours.map(({rate}, index) => rate / (rounds[index]?.rate ?? 0))),
	);
	const hasTarget = atOnce === 32 || does === 'preemptively';
	return {
		group: 'kerberos',
		name: `Negotiate ${does}, ${atOnce === 1 ? 'one' : atOnce} at a time, ${cold ? 'a connection each' : 'keep-alive'}`,
		target: hasTarget ? 'more than 1 x' : '',
		measured: ratios.map((ratio, index) => `${spread(ratio)} x ${peers[index]}`).join(', '),
		ours: describe(ours, roundTrips[0]),
		theirs: theirs
			.map((rounds, index) => `${peers[index]} ${describe(rounds, roundTrips[index + 1])}`)
			.join('; '),
		verdict: hasTarget ? verdictOf(ratios.every(({median}) => median > 1)) : 'no target',
		figures: {ratios, roundTrips, ours: mediansOf(ours), theirs: theirs.map(mediansOf)},
	};
}

/** Over undici, beside curl with all its URLs in one process, which sends its token at once in any case. */
async function measureDispatcher(
	{url, credentialCache, gatepass}: Realm,
	{does, atOnce}: Omit<Setting, 'cold'>,
): Promise<Row> {
	const requests = requestsInRound[atOnce] * 2;
	const order: KerberosOrder = {does, requests, atOnce, cold: false, by: 'dispatcher'};
	const [ours = [], theirs = []] = await takeTurns(
		[
			() => gatepass.ask<BurstResult>(order),
			async () => ({
				rate: await curlBurst(url, credentialCache, {requests, atOnce, cold: false}),
				cpu: Number.NaN,
			}),
		],
		turns,
	);
	const ratio = summarise(ours.map(({rate}, index) => rate / (theirs[index]?.rate ?? 0)));
	const smallest = atOnce === 1 ? 0.9 : fromDispatcher[does];
	return {
		group: 'kerberos',
		name: `Negotiate ${does} over gatepass.dispatcher, ${atOnce === 1 ? 'one' : atOnce} at a time, keep-alive`,
		target: `at least ${smallest} x`,
		measured: `${spread(ratio)} x`,
		ours: describe(ours),
		theirs: `curl ${describe(theirs)}`,
		verdict: verdictOf(ratio.median >= smallest),
		figures: {ratio, ours: mediansOf(ours), theirs: mediansOf(theirs)},
	};
}

/** curl as it is most used: one command, one request. */
async function measureCommands({url, credentialCache, gatepass}: Realm): Promise<Row> {
	const atOnce = 32;
	const order: KerberosOrder = {
		does: 'preemptively',
		requests: requestsInRound[atOnce],
		atOnce,
		cold: false,
	};
	const [ours = [], theirs = []] = await takeTurns(
		[
			() => gatepass.ask<BurstResult>(order),
			async () => ({
				rate: await curlCommands(url, credentialCache, {requests: 64, atOnce}),
				cpu: Number.NaN,
			}),
		],
		{warmUp: 0, counted: 3},
	);
	const ratio = summarise(ours.map(({rate}, index) => rate / (theirs[index]?.rate ?? 0)));
	return {
		group: 'kerberos',
		name: `Negotiate preemptively, ${atOnce} at a time, beside a command of curl for each`,
		target: 'more than 1 x',
		measured: `${spread(ratio)} x`,
		ours: describe(ours),
		theirs: describe(theirs),
		verdict: verdictOf(ratio.median > 1),
		figures: {ratio, ours: mediansOf(ours), theirs: mediansOf(theirs)},
	};
}

/** Apache writes its log after the answer. */
async function countNew(
	server: ApacheNegotiate,
	before: Readonly<Record<string, number>>,
	wanted: number,
): Promise<number> {
	for (;;) {
		const now = await server.statuses();
		const [answered = 0, refused = 0] = ['200', '401'].map(
			status => (now[status] ?? 0) - (before[status] ?? 0),
		);
		if (answered >= wanted) return answered + refused;
		await pause(5);
	}
}

/** @param floor the library with its tickets in memory, called without a thread: what a context costs at least. */
async function measureContexts(
	gatepass: Child,
	library: PythonProcess,
	floor: PythonProcess,
	atOnce: number,
): Promise<Row> {
	const order: KerberosOrder = {does: 'contexts', requests: contextsInRound, atOnce, cold: false};
	const [ours = [], theirs = [], lowest = []] = await takeTurns(
		[
			() => gatepass.ask<BurstResult>(order),
			() => library.ask<BurstResult>(String(contextsInRound)),
			() => floor.ask<BurstResult>(String(contextsInRound)),
		],
		turns,
	);
	const ratioTo = (others: readonly BurstResult[]) =>
		summarise(ours.map(({rate}, index) => rate / (others[index]?.rate ?? 0)));
	const [ratio, toFloor] = [ratioTo(theirs), ratioTo(lowest)];
	const isAlone = atOnce === 1;
	return {
		group: 'kerberos',
		name: `contexts alone, ${isAlone ? 'one' : atOnce} at a time`,
		target: isAlone ? 'at least 1 x' : '',
		measured: `${spread(ratio)} x, ${spread(toFloor)} x the floor`,
		ours: describe(ours),
		theirs: `${describe(theirs)} for MIT's library, from Python; the floor ${describe(lowest)}, with its tickets in memory`,
		verdict: isAlone ? verdictOf(ratio.median >= 1) : 'no target',
		figures: {
			ratio,
			toFloor,
			ours: mediansOf(ours),
			theirs: mediansOf(theirs),
			floor: mediansOf(lowest),
		},
	};
}

function mediansOf(rounds: readonly BurstResult[]): BurstResult {
	return {rate: medianOf(rounds.map(({rate}) => rate)), cpu: medianOf(rounds.map(({cpu}) => cpu))};
}

function describe(rounds: readonly BurstResult[], roundTrips?: number): string {
	const {rate, cpu} = mediansOf(rounds);
	return [
		`${count(rate)}/s`,
		...(Number.isNaN(cpu) ? [] : [`${cpu.toFixed(0)} µs of CPU`]),
		...(roundTrips === undefined ? [] : [`${roundTrips.toFixed(2)} round trips`]),
	].join(', ');
}

function skipped(reason: string): Row {
	return {
		group: 'kerberos',
		name: 'Negotiate',
		target: '',
		measured: `skipped: ${reason}`,
		ours: '',
		theirs: '',
		verdict: 'no target',
		figures: {skipped: reason},
	};
}
