/**
 * Certificates of an ACME server, beside certbot at the same pebble with its waits off: one certificate as a whole process,
 * fifty names in one order, fifty orders, and a look at ten thousand certificates of which none is due.
 */
import {execFile, spawnSync} from 'node:child_process';
import {X509Certificate} from 'node:crypto';
import {mkdir, mkdtemp, readFile, rm, symlink, writeFile} from 'node:fs/promises';
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
const cli = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const client = fileURLToPath(new URL('renewal-client.ts', import.meta.url));

interface Side {
	readonly name: string;
	/** Obtain a certificate as a process of its own. */
	obtain(folder: string, domains: readonly string[]): Promise<void>;
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
			await compare('50 orders, one after the other', sides, place, undefined, 1, async (side, folder) => {
				for (const name of fifty) await side.obtain(folder, [`single.${name}`]);
			}),
			await compareLook(server, place),
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
	work: (side: Side, folder: string, round: number) => Promise<void>,
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
	const trust = [{match: 'https://localhost:*', ca: server.ca}];
	await writeFile(configuration, JSON.stringify({cache: {url: 'memory:'}, trust}), {mode: 0o600});
	return {
		name: 'gatepass',
		async obtain(folder, domains) {
			await promisify(execFile)(process.execPath, [
				...[cli, '-c', configuration, 'cert', 'obtain', '--agree-tos', '--server', server.directoryUrl],
				...['--standalone', '--http-01-address', '127.0.0.1', '--http-01-port', String(server.httpPort)],
				...['--config-dir', folder, ...domains.flatMap(domain => ['-d', domain])],
			]);
		},
	};
}

function certbotAt(server: Pebble): Side {
	return {
		name: 'certbot',
		async obtain(folder, domains) {
			await promisify(execFile)(
				findProgram('certbot') as string,
				[
					...['certonly', '-n', '--agree-tos', '-m', 'a@example.org', '--server', server.directoryUrl],
					...['--standalone', '--http-01-address', '127.0.0.1', '--http-01-port', String(server.httpPort)],
					...['--config-dir', folder, '--work-dir', `${folder}-work`, '--logs-dir', `${folder}-logs`],
					...domains.flatMap(domain => ['-d', domain]),
				],
				{env: {...process.env, REQUESTS_CA_BUNDLE: server.ca}},
			);
		},
	};
}

/** Ten thousand copies of one certificate that certbot made, none of them due. */
async function compareLook(server: Pebble, place: string): Promise<Row> {
	const folder = join(place, 'many');
	await certbotAt(server).obtain(folder, ['pattern.example.test']);
	await multiply(folder);
	const time = async (work: () => {stdout: string}): Promise<{seconds: number; said: string}> => {
		const started = performance.now();
		const {stdout} = work();
		return {seconds: (performance.now() - started) / 1000, said: stdout};
	};
	const run = (program: string, parameters: readonly string[], env = {}) =>
		spawnSync(program, parameters, {
			encoding: 'utf8',
			maxBuffer: 64 * 1024 * 1024,
			env: {...process.env, ...env},
		});
	const ours = await time(() => run(process.execPath, [client, folder]));
	const {skipped: looked, kilobytes, failed} = JSON.parse(ours.said);
	if (looked !== lineageCount + 1 || failed !== 0) throw new Error(`gatepass looked at ${ours.said}`);
	const theirs = await time(() =>
		run(
			findProgram('certbot') as string,
			[
				'renew',
				'-n',
				'--no-random-sleep-on-renew',
				'--config-dir',
				folder,
				'--work-dir',
				`${folder}-work`,
				'--logs-dir',
				`${folder}-logs`,
			],
			{REQUESTS_CA_BUNDLE: server.ca},
		),
	);
	const megabytes = kilobytes / 1024;
	return {
		group,
		name: `a look at ${count(lineageCount)} certificates, none due`,
		target: 'under 2 s and 150 MB',
		measured: `${ours.seconds.toFixed(2)} s, ${count(megabytes)} MB`,
		ours: `${ours.seconds.toFixed(2)} s`,
		theirs: `certbot: ${theirs.seconds.toFixed(1)} s`,
		verdict: verdictOf(ours.seconds < 2 && megabytes < 150),
		figures: {ours: ours.seconds, megabytes, theirs: theirs.seconds},
	};
}

async function multiply(folder: string): Promise<void> {
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
	for (let index = 0; index < lineageCount; index++) {
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
