/** Puts the commands together, runs one, and turns what comes of it into an exit code. */
import process from 'node:process';
import {styleText} from 'node:util';
import {Command, CommanderError} from 'commander';
import {version} from '../own-files.ts';
import {exitCodes} from './exit-codes.ts';
import {reportFailure, UsageError} from './failure.ts';

/** Run the command line. Resolves with the exit code, whatever happens. */
export async function run(args: readonly string[]): Promise<number> {
	const program = await createProgram(args);
	try {
		await program.parseAsync(args, {from: 'user'});
		return Number(process.exitCode ?? exitCodes.done);
	} catch (error) {
		if (error instanceof CommanderError) {
			// Help and version that were asked for.
			if (error.exitCode === 0) return exitCodes.done;
			// Without a command commander prints the help by itself.
			if (error.code === 'commander.help' && !wantsJson(args)) return exitCodes.usage;
			if (error.code === 'commander.help') {
				return reportFailure(missingCommand(commandIn(args, program)), 'gatepass', true);
			}
		}
		return reportFailure(error, commandIn(args, program), wantsJson(args));
	}
}

/** The command that `args` name, with the groups it is in: `gatepass cert install`. */
function commandIn(args: readonly string[], program: Command): string {
	let command = program;
	const names = [program.name()];
	for (const arg of args) {
		const next = command.commands.find(candidate => candidate.name() === arg);
		if (next === undefined) continue;
		command = next;
		names.push(next.name());
	}
	return names.join(' ');
}

/** For what goes wrong outside of a command, such as in a strategy's own timer. */
export function reportUncaught(error: unknown, args: readonly string[]): number {
	return reportFailure(error, 'gatepass', wantsJson(args));
}

function missingCommand(group: string): UsageError {
	return new UsageError(`A command is missing. '${group} --help' lists them`);
}

async function createProgram(args: readonly string[]): Promise<Command> {
	const json = wantsJson(args);
	const program = new Command('gatepass')
		.description(
			'Sends requests with the credential that the host rules of a configuration choose for each URL.',
		)
		.version(version(), '-V, --version', 'print the version')
		.helpOption('-h, --help', 'print this help')
		.helpCommand('help [command]', 'print the help of a command')
		.option('-c, --config <file>', 'the configuration (default: the one found from here upwards)')
		.option('--json', 'print JSON, for machines; errors too, on stderr')
		.configureHelp({
			showGlobalOptions: true,
			// commander takes colours out again where the stream is no terminal.
			styleTitle: title => styleText('bold', title, {validateStream: false}),
			styleCommandText: text => styleText('cyan', text, {validateStream: false}),
		})
		// Errors are printed in one place, by reportFailure.
		.configureOutput({outputError() {}, ...(json && {writeErr() {}})})
		.exitOverride()
		.addHelpText('after', overview);
	for (const addCommand of await loadCommands(args)) addCommand(program);
	return program;
}

type AddCommand = (program: Command) => void;

/** By name, in the order of the help. With a command comes what it needs to be described; the rest when it is run. */
const commands: Readonly<Record<string, () => Promise<AddCommand>>> = {
	request: async () => (await import('./request.ts')).addRequestCommand,
	explain: async () => (await import('./explain.ts')).addExplainCommand,
	token: async () => (await import('./token.ts')).addTokenCommand,
	status: async () => (await import('./status.ts')).addStatusCommand,
	forget: async () => (await import('./forget.ts')).addForgetCommand,
	serve: async () => (await import('./serve.ts')).addServeCommand,
	run: async () => (await import('./run-command.ts')).addRunCommand,
	doctor: async () => (await import('./doctor.ts')).addDoctorCommand,
	init: async () => (await import('./init.ts')).addInitCommand,
	cert: async () => (await import('./cert.ts')).addCertCommand,
	bundle: async () => (await import('./bundle.ts')).addBundleCommand,
};

/** The command that is named comes alone; all of them, where it is help that is wanted, or nobody can tell. */
function loadCommands(args: readonly string[]): Promise<AddCommand[]> {
	const named = firstWord(args);
	const chosen =
		named !== undefined && Object.hasOwn(commands, named) ? [commands[named]] : Object.values(commands);
	return Promise.all(chosen.map(load => (load as () => Promise<AddCommand>)()));
}

/** The first word that is neither an option nor the value of one. */
function firstWord(args: readonly string[]): string | undefined {
	const takeValues = ['-c', '--config'];
	return args.find((arg, index) => !arg.startsWith('-') && !takeValues.includes(args[index - 1] ?? ''));
}

const overview = `
Examples:
  gatepass init                               write a configuration to begin
  gatepass doctor                             see whether all is well
  gatepass explain https://api.example.org/   which rule is chosen, and why
  gatepass request https://api.example.org/   make a request
  gatepass run -- python3 analysis.py         the same for any program

Exit codes: 0 done, 1 the request or check failed, 2 usage, 3 configuration.`;

/** Asked before the command line is parsed, because a mistake in it is to be told as JSON too. */
function wantsJson(args: readonly string[]): boolean {
	const end = args.indexOf('--');
	return args.slice(0, end === -1 ? undefined : end).includes('--json');
}
