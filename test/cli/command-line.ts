/** Runs the built command line in a process of its own, in a folder of its own. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {ConfigurationInput} from '../../src/index.ts';

const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url));

/** What came of one run. */
export interface Outcome {
	/** `null` where a signal ended it. */
	readonly code: number | null;
	readonly stdout: string;
	readonly stderr: string;
	/** stdout as it came. */
	readonly bytes: Buffer;
}

export interface RunSettings {
	readonly env?: Readonly<Record<string, string>>;
	/** For stdin. */
	readonly input?: string;
	/** What is typed, each as soon as stdout has shown the text before it; on a terminal. */
	readonly answers?: readonly (readonly [text: string, typed: string])[];
	/** How wide the terminal is. Default: 120. */
	readonly columns?: number;
	/** Told of stdout as it comes. */
	readonly onOutput?: (text: string) => void;
}

/** A folder that is home and working directory of the command line. */
export interface Workspace {
	readonly folder: string;
	/** The absolute path of a file in the folder. */
	path(name: string): string;
	write(name: string, text: string): Promise<string>;
	configure(configuration: ConfigurationInput): Promise<string>;
	/** Start the command line; for what is not to run to its end. */
	start(args: readonly string[], settings?: RunSettings): ChildProcess;
	/** Run the command line to its end. */
	run(args: readonly string[], settings?: RunSettings): Promise<Outcome>;
	/** Start it on a terminal, through `script`, to answer what it asks; stdout and stderr come as one. */
	startOnTerminal(args: readonly string[], settings?: RunSettings): ChildProcess;
	/** Run it on a terminal to its end. */
	runOnTerminal(args: readonly string[], settings?: RunSettings): Promise<Outcome>;
	close(): Promise<void>;
}

export async function createWorkspace(configuration?: ConfigurationInput): Promise<Workspace> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-cli-'));
	const path = (name: string): string => join(folder, name);
	const environment = (own: RunSettings['env'] = {}): Record<string, string> => ({
		PATH: process.env.PATH ?? '',
		HOME: folder,
		TERM: 'xterm',
		...own,
	});
	const workspace: Workspace = {
		folder,
		path,
		async write(name, text) {
			await mkdir(join(path(name), '..'), {recursive: true});
			await writeFile(path(name), text, {mode: 0o600});
			return path(name);
		},
		configure: async value => workspace.write('gatepass.config.yaml', JSON.stringify(value, null, 2)),
		start: (args, {env} = {}) =>
			spawn(process.execPath, [main, ...args], {cwd: folder, env: environment(env)}),
		run: async (args, settings = {}) => finish(workspace.start(args, settings), settings),
		startOnTerminal: (args, {env, columns = 120} = {}) => {
			const command = [process.execPath, main, ...args].map(quote).join(' ');
			// `script` makes its terminal no wider than this process's, which may have none.
			const shell = `stty cols ${columns} rows 40; exec ${command}`;
			const options = {cwd: folder, env: environment(env)};
			return spawn('script', ['-qefc', shell, '/dev/null'], options);
		},
		runOnTerminal: async (args, settings = {}) => finish(workspace.startOnTerminal(args, settings), settings),
		close: async () => rm(folder, {recursive: true, force: true}),
	};
	if (configuration !== undefined) await workspace.configure(configuration);
	return workspace;
}

async function finish(
	child: ChildProcess,
	{input = '', answers = [], onOutput}: RunSettings,
): Promise<Outcome> {
	const out: Buffer[] = [];
	const errors: Buffer[] = [];
	const unanswered = [...answers];
	child.stdout?.on('data', chunk => {
		out.push(chunk);
		onOutput?.(chunk.toString());
		const [next] = unanswered;
		if (next === undefined || !Buffer.concat(out).includes(next[0])) return;
		unanswered.shift();
		child.stdin?.write(next[1]);
	});
	child.stderr?.on('data', chunk => errors.push(chunk));
	child.stdin?.on('error', () => {});
	if (answers.length === 0) child.stdin?.end(input);
	const [code] = (await once(child, 'close')) as [number | null];
	const bytes = Buffer.concat(out);
	return {code, bytes, stdout: bytes.toString(), stderr: Buffer.concat(errors).toString()};
}

function quote(word: string): string {
	return `'${word.replaceAll("'", `'\\''`)}'`;
}
