/**
 * A credential of a program that was run already, beside a token that was fetched already: what `gatepass.authorize` costs
 * with each, from the choice of the rule to the header. Neither a program nor a server is asked any more.
 */
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createGatepass} from 'gatepass';
import {startTokenServer} from 'gatepass/testing';
import {type Row, spread, verdictOf} from './report.ts';
import {medianOf, summarise} from './statistics.ts';

const rounds = 61;
const callsInRound = 4000;
/** What two runs of the same thing differ by here, now and then. */
const largestRatio = 1.05;

const kinds = ['token', 'token again', 'command', 'exec-credential', 'key', 'key of a program'] as const;
type Kind = (typeof kinds)[number];

export async function measureWarmCommand(): Promise<Row[]> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-bench-'));
	const server = await startTokenServer();
	try {
		const runs = join(folder, 'runs');
		const program = async (name: string, printed: object | string): Promise<string[]> => {
			const file = join(folder, name);
			const text = typeof printed === 'string' ? printed : JSON.stringify(printed);
			await writeFile(file, `#!/bin/sh\necho run >>'${runs}'\ncat <<'end'\n${text}\nend\n`, {mode: 0o755});
			return [file];
		};
		const expiration = new Date(Date.now() + 86_400_000).toISOString();
		const place = {service: 'execute-api', region: 'eu-central-1'};
		const keys = {accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'};
		const token = {
			strategy: 'sso-client-credentials',
			options: {clientId: 'bench', clientSecret: 'bench-secret', tokenEndpoint: server.tokenEndpoint},
		};
		const rules: Readonly<Record<Kind, {strategy: string; options: Record<string, unknown>}>> = {
			token,
			'token again': token,
			command: {strategy: 'command', options: {command: await program('text', 'a-token-of-the-bench')}},
			'exec-credential': {
				strategy: 'command',
				options: {
					format: 'exec-credential',
					command: await program('exec', {
						apiVersion: 'client.authentication.k8s.io/v1',
						kind: 'ExecCredential',
						status: {token: 'a-token-of-the-bench', expirationTimestamp: expiration},
					}),
				},
			},
			key: {strategy: 'aws-sigv4', options: {...place, ...keys}},
			'key of a program': {
				strategy: 'aws-sigv4',
				options: {
					...place,
					credentials: {
						command: await program('key', {
							Version: 1,
							AccessKeyId: keys.accessKeyId,
							SecretAccessKey: keys.secretAccessKey,
							Expiration: expiration,
						}),
					},
				},
			},
		};
		await using gatepass = await createGatepass({
			config: {
				cache: {url: 'memory:'},
				hostRules: kinds.map((kind, index) => ({match: `https://host-${index}.example.org`, ...rules[kind]})),
			},
		});
		/** Microseconds of CPU for one call. */
		const time = async (kind: Kind): Promise<number> => {
			const url = `https://host-${kinds.indexOf(kind)}.example.org/`;
			const before = process.cpuUsage();
			for (let call = 0; call < callsInRound; call++) await gatepass.authorize(url);
			const {user, system} = process.cpuUsage(before);
			return (user + system) / callsInRound;
		};
		const times = Object.fromEntries(kinds.map(kind => [kind, []])) as unknown as Record<Kind, number[]>;
		for (let round = -5; round < rounds; round++) {
			// In turn from both ends, so that what warms up or slows down meets all alike.
			for (const kind of round % 2 === 0 ? kinds : kinds.toReversed()) {
				const taken = await time(kind);
				if (round >= 0) times[kind].push(taken);
			}
		}
		const wasRun = (await readFile(runs, 'utf8')).trim().split('\n').length;
		if (wasRun !== 3) throw new Error(`The three programs were run ${wasRun} times: that was not warm`);
		const row = (name: string, kind: Kind, beside: Kind, limit?: number): Row => {
			const ratio = summarise(times[kind].map((taken, index) => taken / (times[beside][index] as number)));
			const [own, other] = [medianOf(times[kind]), medianOf(times[beside])];
			return {
				group: 'command',
				name,
				target: limit === undefined ? '' : `at most ${limit} x`,
				measured: `${spread(ratio)} x`,
				ours: `${own.toFixed(2)} µs of CPU`,
				theirs: `${other.toFixed(2)} µs for a ${beside}`,
				verdict: limit === undefined ? 'no target' : verdictOf(ratio.median <= limit),
				figures: {ratio, microseconds: own, beside: other},
			};
		};
		return [
			row('a warm command credential, beside a warm token', 'command', 'token', largestRatio),
			row('the same of an ExecCredential', 'exec-credential', 'token', largestRatio),
			row('a warm token beside itself: the noise of this run', 'token again', 'token'),
			row(
				'a signature with a key of a program, beside one of the options',
				'key of a program',
				'key',
				largestRatio,
			),
		];
	} finally {
		await server.close();
		await rm(folder, {recursive: true, force: true});
	}
}
