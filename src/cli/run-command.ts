/** `gatepass run -- COMMAND`: a proxy for one command, which knows nothing of it. */
import {spawn} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {constants, tmpdir} from 'node:os';
import {join} from 'node:path';
import process from 'node:process';
import type {Command} from 'commander';
import {note} from './output.ts';
import {passSignals} from './pass-signals.ts';
import {examples, type GlobalOptions, optionsOf} from './settings.ts';

interface RunOptions extends GlobalOptions {
	readonly accessLog?: string;
}

/** As shells have them. */
const notExecutable = 126;
const notFound = 127;

export function addRunCommand(program: Command): void {
	program
		.command('run')
		.summary('run a command whose requests get the credentials of the rules')
		.description(
			'Run a command with a proxy of its own: programs that heed HTTP_PROXY and the like (curl, Python, git, Node, ' +
				'Java, R, Perl, wget) then send the credentials of the host rules, and need no other change. Ends as the ' +
				'command does, with its exit code.',
		)
		.argument('<command...>', 'the command and its arguments, behind --')
		.option('--access-log <file>', 'write a line of JSON for each request into this file')
		.addHelpText(
			'after',
			examples('gatepass run -- python3 analysis.py', 'gatepass run -- curl https://cmsweb.cern.ch/'),
		)
		.action(async (words: readonly string[], _own: unknown, command: Command) => {
			await runCommand(words, optionsOf<RunOptions>(command));
		});
}

async function runCommand([file = '', ...args]: readonly string[], options: RunOptions): Promise<void> {
	const [
		{createForServing},
		{LocalProxy},
		{Activity},
		{makeSecret},
		{Authority, constraintsOf, makeAuthority},
		files,
		child,
	] = await Promise.all([
		import('../gatepass.ts'),
		import('../serve/proxy.ts'),
		import('../serve/activity.ts'),
		import('../serve/secret.ts'),
		import('../serve/authority.ts'),
		import('../serve/ca-files.ts'),
		import('../serve/child-environment.ts'),
	]);
	const activity = new Activity();
	const {config} = options;
	const loaded = await createForServing({...(config !== undefined && {config})}, activity.listener);
	const {configuration} = loaded;
	// Its own place, and both forms of the forward kind, whatever the service is told to be.
	const serve = {
		...configuration.serve,
		listen: {host: '127.0.0.1', port: 0},
		forward: true,
		allowLocalUsers: false,
		tls: undefined,
	};
	const serving = {...loaded, configuration: {...configuration, serve}};
	const patterns = configuration.hostRules
		.filter(({strategy}) => strategy !== 'none')
		.flatMap(rule => rule.patterns);
	const authority = new Authority(makeAuthority(constraintsOf(patterns)));
	const secret = makeSecret();
	const log = await accessLog(options.accessLog);
	// A program may draw on the terminal: what the proxy has to tell waits until it has ended.
	const told: string[] = [];
	const proxy = new LocalProxy(serving, {
		secret,
		activity,
		log,
		tell: text => void told.push(text),
		authority: () => authority,
	});
	const [place, portWithoutSecret] = await Promise.all([proxy.listen(), proxy.listenForOwner()]);
	const folder = mkdtempSync(join(process.env.XDG_RUNTIME_DIR || tmpdir(), 'gatepass-run-'));
	const {environment} = configuration;
	const written = files.writeCaFiles(folder, authority.root, environment);
	const cleanUp = (): void => {
		for (const path of [folder, written.inFolder]) rmSync(path, {recursive: true, force: true});
	};
	process.once('exit', cleanUp);
	const env = child.childEnvironment(process.env, {
		proxyUrl: place.replace('://', `://gatepass:${secret}@`),
		portWithoutSecret,
		files: written,
		folder,
		patterns,
	});
	const {code, signal} = await runChild(file, args, env);
	await proxy.close();
	cleanUp();
	for (const text of new Set(told)) note(`note: ${text}`);
	if (signal !== null) endBy(signal);
	else process.exitCode = code ?? 1;
}

async function accessLog(file: string | undefined) {
	if (file === undefined) return undefined;
	const {AccessLog} = await import('../serve/access-log.ts');
	const {appendFileSync} = await import('node:fs');
	return new AccessLog(text => appendFileSync(file, text, {mode: 0o600}));
}

interface Ending {
	readonly code: number | null;
	readonly signal: NodeJS.Signals | null;
}

function runChild(file: string, args: readonly string[], env: Record<string, string>): Promise<Ending> {
	return new Promise(resolve => {
		const command = spawn(file, args, {stdio: 'inherit', env});
		passSignals(command);
		command.once('error', (error: NodeJS.ErrnoException) => {
			const isMissing = error.code === 'ENOENT';
			const why = isMissing
				? 'there is no such program; check its name and PATH'
				: `it cannot be run (${error.code}); check whether it is executable`;
			note(`error: '${file}': ${why}`);
			resolve({code: isMissing ? notFound : notExecutable, signal: null});
		});
		command.once('exit', (code, signal) => resolve({code, signal}));
	});
}

/** End by the same signal as the command, so that whoever started both sees the same. */
function endBy(signal: NodeJS.Signals): void {
	process.exitCode = 128 + (constants.signals[signal] ?? 0);
	process.removeAllListeners(signal);
	// A core of this process would help nobody, and hold secrets.
	if (
		!['SIGQUIT', 'SIGABRT', 'SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGTRAP', 'SIGSYS'].includes(signal)
	) {
		process.kill(process.pid, signal);
	}
}
