/**
 * Instructions of the processor for one request, counted by callgrind: a change of one percent shows on a machine
 * where time is noise. Two runs of each side, a short one and a long one, whose difference counts: so start and
 * compilation do not.
 */
import {fork, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import type {Readable} from 'node:stream';
import {text} from 'node:stream/consumers';
import {startChild} from './child.ts';
import {count, type Row, verdictOf} from './report.ts';
import type {ClientSettings} from './throughput-client.ts';
import type {ServerAddresses} from './throughput-server.ts';

type Side = ClientSettings['side'];

/** Beside each other, with what the first may take of the second. */
const pairs: readonly (readonly [Side, Side, number])[] = [
	['gatepass.dispatcher', 'bare undici', 1.1],
	['gatepass.fetch', 'bare fetch', 1 / 0.95],
	['gatepass', 'bare got', 1 / 0.97],
];
/**
 * Until V8 has compiled most of what it is going to compile. Of a run under valgrind, which takes some 50 times as long
 * as the processor, the start takes most: more requests cost little.
 */
const warmUp = 1000;
const counted = 1000;
/** One thread for V8, which else compiles and collects when it likes to. */
const steadily = ['--single-threaded'];

export async function measureInstructions(): Promise<Row[]> {
	if (spawnSync('valgrind', ['--version'], {stdio: 'ignore'}).status !== 0) {
		return [skipped('there is no program valgrind; apt-get install valgrind')];
	}
	const {child: server, greeting: addresses} = await startChild<ServerAddresses>(
		'throughput-server.ts',
		null,
	);
	try {
		const rows: Row[] = [];
		for (const [ours, theirs, most] of pairs) rows.push(await compare(addresses, ours, theirs, most));
		return rows;
	} finally {
		await server.close();
	}
}

async function compare(addresses: ServerAddresses, ours: Side, theirs: Side, most: number): Promise<Row> {
	const [own, other] = [await forOne(addresses, ours), await forOne(addresses, theirs)];
	const ratio = own / other;
	return {
		group: 'instructions',
		name: `${ours === 'gatepass' ? 'gatepass.got' : ours}, cached token, 50 at a time`,
		target: `at most ${most.toFixed(2)} x`,
		measured: `${ratio.toFixed(3)} x`,
		ours: `${count(own)} instructions in user space (callgrind)`,
		theirs: `${count(other)} for ${theirs}`,
		verdict: verdictOf(ratio <= most),
		figures: {ratio, ours: own, theirs: other},
	};
}

async function forOne(addresses: ServerAddresses, side: Side): Promise<number> {
	const short = await countRun({side, server: 'api', addresses}, warmUp);
	const long = await countRun({side, server: 'api', addresses}, warmUp + counted);
	return (long - short) / counted;
}

/** All instructions of a process that makes so many requests. */
async function countRun(settings: ClientSettings, requests: number): Promise<number> {
	const client = fork(new URL('throughput-client.ts', import.meta.url), [JSON.stringify(settings)], {
		execPath: 'valgrind',
		execArgv: [
			...['--tool=callgrind', '--callgrind-out-file=/dev/null', '--trace-children=no'],
			...[process.execPath, ...steadily],
		],
		stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
	});
	const told = text(client.stderr as Readable);
	// Not 'close', which does not come where the parent has ended the channel.
	const ended = once(client, 'exit');
	const answered = (): Promise<unknown> => Promise.race([once(client, 'message'), ended]);
	await answered();
	if (client.connected) {
		client.send(requests);
		await answered();
	}
	// It ends when nobody asks any more, and valgrind then says what it has counted.
	if (client.connected) client.disconnect();
	const [code] = await ended;
	const collected = /Collected : (\d+)/.exec(await told)?.[1];
	if (code !== 0 || collected === undefined) {
		throw new Error(`The client ended with code ${code}, and valgrind said:\n${await told}`);
	}
	return Number(collected);
}

function skipped(reason: string): Row {
	return {
		group: 'instructions',
		name: 'instructions for a request',
		target: '',
		measured: `skipped: ${reason}`,
		ours: '',
		theirs: '',
		verdict: 'no target',
		figures: {skipped: reason},
	};
}
