/**
 * Certificates of an ACME server, beside certbot at the same pebble with its waits off: one certificate as a whole process,
 * fifty names in one order, fifty orders at once, and a look at ten thousand certificates of which none is due.
 */
import {execFile} from 'node:child_process';
import {X509Certificate} from 'node:crypto';
import {mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {findProgram} from '../servers/availability.ts';
import {certbot} from '../servers/certbot.ts';
import {type Pebble, pebble, startPebble} from '../servers/pebble.ts';
import {count, type Row, verdictOf} from './report.ts';
import {medianOf} from './statistics.ts';

const group = 'renewal';
const rounds = 3;
const lineageCount = 10_000;
const largestOutput = 64 * 1024 * 1024;
const cli = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const orderCount = 50;
/** Has a process say at its end how many kilobytes it had at most. */
const peak =
	'data:text/javascript,process.on("exit",()=>process.stderr.write("peak "+process.resourceUsage().maxRSS))';

interface Side {
	readonly name: string;
	/** Each as a process of its own. */
	obtain(folder: string, domains: readonly string[]): Promise<unknown>;
	/** Gives what it said. */
	renew(folder: string, ...more: string[]): Promise<string>;
}

export async function measureRenewal(): Promise<Row[]> {
	const missing = [pebble, certbot].find(server => server.whyUnavailable() !== undefined);
	if (missing !== undefined) return [skipped(`${missing.whyUnavailable()}; ${missing.install}`)];
	const server = await startPebble({nonceReject: 0});
	const place = await mkdtemp(join(tmpdir(), 'gatepass-bench-renewal-'));
	try {
		const sides = [await gatepassAt(server, place), certbotAt(server)] as const;
		for (const side of sides) await side.obtain(join(place, side.name), ['warm-up.example.test']);
		const fifty = Array.from({length: 50}, (_, index) => `name-${index}.example.test`);
		return [
			await compare('one certificate, as a whole process', sides, place, 0.1, rounds, (side, folder, round) =>
				side.obtain(folder, [`one-${round}.example.test`]),
			),
			await compare('50 names in one order', sides, place, undefined, 1, (side, folder) =>
				side.obtain(folder, fifty),
			),
			await compareRenewals(server, sides, place),
			await compareLook(sides[1], sides[0], place),
		];
	} finally {
		await server.close();
		await rm(place, {recursive: true, force: true});
	}
}

async function compare(
	name: string,
	sides: readonly [Side, Side],
	place: string,
	target: number | undefined,
	times: number,
	work: (side: Side, folder: string, round: number) => Promise<unknown>,
): Promise<Row> {
	const taken: [number[], number[]] = [[], []];
	for (let round = 0; round < times; round++) {
		// Each begins in turn.
		for (const index of round % 2 === 0 ? [0, 1] : [1, 0]) {
			const side = sides[index] as Side;
			const started = performance.now();
			await work(side, join(place, side.name), round);
			taken[index]?.push(performance.now() - started);
		}
	}
	const [ours, theirs] = taken.map(medianOf) as [number, number];
	const ratio = ours / theirs;
	return {
		group,
		name,
		target: target === undefined ? '' : `at most ${target} of certbot's time`,
		measured: ratio.toFixed(3),
		ours: `${(ours / 1000).toFixed(2)} s`,
		theirs: `certbot: ${(theirs / 1000).toFixed(2)} s`,
		verdict: target === undefined ? 'no target' : verdictOf(ratio <= target),
		figures: {ours: taken[0], theirs: taken[1]},
	};
}

async function gatepassAt(server: Pebble, place: string): Promise<Side> {
	const configuration = join(place, 'gatepass.config.json');
	// As certbot's REQUESTS_CA_BUNDLE has it: no other CA is trusted.
	const trust = [{match: 'https://localhost:*', ca: server.ca, only: true}];
	await writeFile(configuration, JSON.stringify({cache: {url: 'memory:'}, trust}), {mode: 0o600});
	const run = async (...parameters: string[]): Promise<string> => {
		const command = ['--import', peak, cli, '-c', configuration, 'cert', ...parameters];
		const {stdout, stderr} = await promisify(execFile)(process.execPath, command, {maxBuffer: largestOutput});
		return stdout + stderr;
	};
	return {
		name: 'gatepass',
		obtain: (folder, domains) =>
			run(
				...['obtain', '--agree-tos', '--server', server.directoryUrl, '--standalone'],
				...['--http-01-address', '127.0.0.1', '--http-01-port', String(server.httpPort)],
				...['--config-dir', folder, ...domains.flatMap(domain => ['-d', domain])],
			),
		renew: (folder, ...more) => run('renew', '--config-dir', folder, ...more),
	};
}

function certbotAt(server: Pebble): Side {
	const run = async (folder: string, ...parameters: string[]): Promise<string> => {
		const folders = ['--config-dir', folder, '--work-dir', `${folder}-work`, '--logs-dir', `${folder}-logs`];
		const {stdout, stderr} = await promisify(execFile)(
			findProgram('certbot') as string,
			[...parameters, '-n', ...folders],
			{env: {...process.env, REQUESTS_CA_BUNDLE: server.ca}, maxBuffer: largestOutput},
		);
		return stdout + stderr;
	};
	return {
		name: 'certbot',
		obtain: (folder, domains) =>
			run(
				folder,
				...['certonly', '--agree-tos', '-m', 'a@example.org', '--server', server.directoryUrl],
				...['--standalone', '--http-01-address', '127.0.0.1', '--http-01-port', String(server.httpPort)],
				...domains.flatMap(domain => ['-d', domain]),
			),
		renew: (folder, ...more) => run(folder, 'renew', '--no-random-sleep-on-renew', ...more),
	};
}

/** Each renews fifty certificates that certbot made, in one process: gatepass several at once, certbot one by one. */
async function compareRenewals(server: Pebble, sides: readonly [Side, Side], place: string): Promise<Row> {
	for (const {name} of sides) {
		const folder = join(place, `fifty-${name}`);
		await certbotAt(server).obtain(folder, ['pattern.example.test']);
		await multiply(folder, orderCount - 1);
	}
	return compare('50 orders at once: renewals', sides, place, undefined, 1, async ({name, renew}) => {
		const folder = join(place, `fifty-${name}`);
		await renew(folder, '--force-renewal');
		const renewed = await readdir(join(folder, 'archive/many-0.example.test'));
		if (!renewed.includes('cert2.pem')) throw new Error(`${name} renewed nothing`);
	});
}

/** Ten thousand copies of one certificate that certbot made, none of them due. */
async function compareLook(certbotSide: Side, ours: Side, place: string): Promise<Row> {
	const folder = join(place, 'many');
	await certbotSide.obtain(folder, ['pattern.example.test']);
	await multiply(folder, lineageCount - 1);
	const time = async (side: Side): Promise<{seconds: number; said: string}> => {
		const started = performance.now();
		const said = await side.renew(folder);
		return {seconds: (performance.now() - started) / 1000, said};
	};
	// The first reading of the files is nobody's.
	await time(ours);
	const mine = await time(ours);
	if (!mine.said.includes(`${lineageCount} certificates not due`)) throw new Error(mine.said.slice(0, 500));
	const theirs = await time(certbotSide);
	const megabytes = Number(/peak (\d+)/.exec(mine.said)?.[1]) / 1024;
	return {
		group,
		name: `a look at ${count(lineageCount)} certificates, none due`,
		target: 'under 2 s and 150 MB',
		measured: `${mine.seconds.toFixed(2)} s, ${count(megabytes)} MB`,
		ours: `${mine.seconds.toFixed(2)} s`,
		theirs: `certbot: ${theirs.seconds.toFixed(1)} s`,
		verdict: verdictOf(mine.seconds < 2 && megabytes < 150),
		figures: {ours: mine.seconds, megabytes, theirs: theirs.seconds},
	};
}

async function multiply(folder: string, copies: number): Promise<void> {
	const pattern = 'pattern.example.test';
	const text = await readFile(join(folder, `renewal/${pattern}.conf`), 'utf8');
	const kinds = ['cert', 'chain', 'fullchain', 'privkey'];
	const contents = await Promise.all(
		kinds.map(kind => readFile(join(folder, `archive/${pattern}/${kind}1.pem`))),
	);
	// None is asked of a server: what it would say is remembered for longer than this takes.
	const {serialNumber} = new X509Certificate(contents[0] as Buffer);
	const [renewAt, askAgainAt] = [30, 1].map(days => new Date(Date.now() + days * 86_400_000).toISOString());
	const known = `\n[gatepass]\nserial_number = ${serialNumber}\nrenew_at = ${renewAt}\nask_again_at = ${askAgainAt}\n`;
	await writeFile(join(folder, `renewal/${pattern}.conf`), text + known);
	for (let index = 0; index < copies; index++) {
		const name = `many-${index}.example.test`;
		const [archive, live] = ['archive', 'live'].map(part => join(folder, part, name)) as [string, string];
		await Promise.all([mkdir(archive), mkdir(live)]);
		await Promise.all(
			kinds.flatMap((kind, at) => [
				writeFile(join(archive, `${kind}1.pem`), contents[at] as Buffer, {mode: 0o600}),
				symlink(`../../archive/${name}/${kind}1.pem`, join(live, `${kind}.pem`)),
			]),
		);
		await writeFile(join(folder, `renewal/${name}.conf`), (text + known).replaceAll(pattern, name));
	}
}

function skipped(reason: string): Row {
	return {
		group,
		name: 'certificates of an ACME server',
		target: '',
		measured: 'skipped',
		ours: reason,
		theirs: '',
		verdict: 'no target',
		figures: {},
	};
}
