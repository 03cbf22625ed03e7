/**
 * What a command takes from its start to its end, beside `node -e 0`, and `explain` among 10,000 rules. In a home of its
 * own: what is compiled at the first run of each is kept there, as it is for users, and that run does not count.
 */
import {execFile} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import type * as matcherModule from '../../src/host-rules/matcher.ts';
import type * as patternModule from '../../src/host-rules/pattern.ts';
import {loadPart} from './part.ts';
import {type Row, spread, verdictOf} from './report.ts';
import {ruleKinds, urlsFor} from './rule-sets.ts';
import {medianOf, summarise} from './statistics.ts';
import {takeTurns} from './turns.ts';

const execute = promisify(execFile);
const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));
const runs = 15;
const url = 'https://api.example.org/runs';

/** What is run, with what it may take: of the time of which other one. */
const commands = {
	node: {args: ['-e', '0']},
	version: {args: [main, '--version'], name: 'gatepass --version'},
	doctor: {args: [main, 'doctor'], name: 'gatepass doctor', most: 2, of: 'version'},
	explain: {args: [main, 'explain', url], name: 'gatepass explain URL'},
	run: {args: [main, 'run', '--', 'true'], name: 'gatepass run -- true', most: 8, of: 'node'},
} as const;

type Name = keyof typeof commands;

export async function measureCommandLine(): Promise<Row[]> {
	const folder = mkdtempSync(join(tmpdir(), 'gatepass-bench-'));
	try {
		const options = {
			clientId: 'a',
			clientSecret: 'b',
			tokenEndpoint: 'https://login.example.org/token',
		};
		const hostRules = [
			{match: 'https://status.example.org', strategy: 'none'},
			{match: 'https://api.example.org', strategy: 'sso-client-credentials', options},
		];
		const configuration = JSON.stringify({cache: {url: 'memory:'}, hostRules}, null, 2);
		// In YAML, as most have it.
		writeFileSync(join(folder, 'gatepass.config.yaml'), configuration, {mode: 0o600});
		return [...(await startRows(folder)), await manyRulesRow()];
	} finally {
		rmSync(folder, {recursive: true});
	}
}

async function startRows(folder: string): Promise<Row[]> {
	const {NODE_COMPILE_CACHE: _, ...inherited} = process.env;
	const env = {...inherited, HOME: folder, XDG_RUNTIME_DIR: folder};
	const names = Object.keys(commands) as Name[];
	const sides = names.map(name => async () => {
		const begun = performance.now();
		await execute(process.execPath, commands[name].args, {cwd: folder, env});
		return performance.now() - begun;
	});
	const results = await takeTurns(sides, {warmUp: 2, counted: runs});
	const times = Object.fromEntries(names.map((name, index) => [name, results[index]])) as Record<
		Name,
		number[]
	>;
	return names.filter(name => name !== 'node').map(name => describe(name, times));
}

function describe(name: Exclude<Name, 'node'>, times: Readonly<Record<Name, number[]>>): Row {
	const command: {name: string; most?: number; of?: Name} = commands[name];
	const {most, of = 'node'} = command;
	const beside = (other: Name) =>
		summarise(times[name].map((time, round) => time / (times[other][round] as number)));
	const ratio = beside(of);
	const label = of === 'node' ? "'node -e 0'" : `'${commands[of].name}'`;
	const alsoNode = of === 'node' ? '' : `, ${spread(beside('node'))} x 'node -e 0'`;
	return {
		group: 'cli',
		name: `'${command.name}' from its start to its end`,
		target: most === undefined ? '' : `at most ${most} x ${label}`,
		measured: `${spread(ratio)} x ${label}${alsoNode}`,
		ours: `${medianOf(times[name]).toFixed(0)} ms`,
		theirs: `${medianOf(times[of]).toFixed(0)} ms for ${label}`,
		verdict: most === undefined ? 'no target' : verdictOf(ratio.median <= most),
		figures: {ratio, milliseconds: summarise(times[name])},
	};
}

/** In one process, the first time as well: who asks, asks once. Beside the choice of the rule alone. */
async function manyRulesRow(): Promise<Row> {
	const {createGatepass} = await import('gatepass');
	const {Matcher} = await loadPart<typeof matcherModule>('src/host-rules/matcher.ts');
	const {parsePattern} = await loadPart<typeof patternModule>('src/host-rules/pattern.ts');
	const slowest: number[] = [];
	const chosen: number[] = [];
	for (const kind of ruleKinds) {
		const hostRules = Array.from({length: 10_000}, (_, index) => ({
			match: kind.match(index),
			strategy: 'none',
		}));
		const one = await createGatepass({config: {cache: {url: 'memory:'}, hostRules}});
		const rules = hostRules.map(({match}, index) => ({pattern: parsePattern(match), value: index}));
		const matcher = new Matcher(rules);
		const urls = urlsFor(kind, 10_000).slice(0, 25);
		const explaining = urls.map(asked => timed(() => one.explain(asked)));
		slowest.push(Math.max(...explaining));
		chosen.push(medianOf(urls.map(asked => timed(() => matcher.find(asked, 'GET')))));
		await one.close();
	}
	const worst = Math.max(...slowest);
	return {
		group: 'cli',
		name: 'gatepass.explain among 10,000 rules, the slowest of 25 for each of five kinds of rule',
		target: 'under 50 ms',
		measured: `${worst.toFixed(1)} ms`,
		ours: slowest.map((time, index) => `${time.toFixed(1)} ms by ${ruleKinds[index]?.name}`).join(', '),
		theirs: `${(1000 * medianOf(chosen)).toFixed(0)} µs for the choice of a rule, not warmed up`,
		verdict: verdictOf(worst < 50),
		figures: {slowest, chosen},
	};
}

function timed(work: () => unknown): number {
	const begun = performance.now();
	work();
	return performance.now() - begun;
}
