/** What went wrong, as the command line tells it: an exit code, and a message or one JSON object on stderr. */
import process from 'node:process';
import {CommanderError} from 'commander';
import {networkHints} from '../diagnostics/network-hints.ts';
import {ConfigurationError, StrategyNotFoundError} from '../errors.ts';
import {exitCodes} from './exit-codes.ts';
import {note, noteAsItIs, paint} from './output.ts';
import {wrapLines} from './wrap.ts';

/** The command line was not understood. */
export class UsageError extends Error {
	readonly code = 'ERR_GATEPASS_USAGE';
	override readonly name = 'UsageError';
}

/** Tell what went wrong, and how the process is to end. `command`: where a person can read about usage. */
export function reportFailure(error: unknown, command: string, json: boolean): number {
	const failure = error instanceof Error ? error : new Error(String(error));
	if (json) {
		noteAsItIs(JSON.stringify({error: describeForMachines(failure, command)}));
	} else {
		note(
			wrapLines(
				messageOf(failure, command),
				`${paint(['red', 'bold'], 'error:', process.stderr)} `,
				process.stderr,
			),
		);
		if (failure instanceof CommanderError) note(`Run '${command} --help' for usage and examples.`);
	}
	const next = commandOf(failure);
	if (next !== undefined && !json) note(`Run '${next}' to see where it breaks.`);
	if (process.env.GATEPASS_DEBUG === '1' && !json) noteAsItIs(stacksOf(failure));
	return exitCodeOf(failure);
}

/** What finds out the rest, where the error is one of a request. */
function commandOf(error: Error): string | undefined {
	const {command} = error as {command?: unknown};
	return typeof command === 'string' ? command : undefined;
}

/** The exit code for an error. */
function exitCodeOf(error: Error): number {
	if (error instanceof UsageError || error instanceof CommanderError) return exitCodes.usage;
	if (error instanceof ConfigurationError || error instanceof StrategyNotFoundError) {
		return exitCodes.configuration;
	}
	return exitCodes.failed;
}

function describeForMachines(error: Error, command: string): Record<string, unknown> {
	const usage = error instanceof CommanderError || error instanceof UsageError;
	const {code} = error as {code?: unknown};
	const next = commandOf(error);
	return {
		name: usage ? 'UsageError' : error.name,
		...(usage ? {code: 'ERR_GATEPASS_USAGE'} : typeof code === 'string' && {code}),
		message: messageOf(error, command),
		...(next !== undefined && {command: next}),
		...(error instanceof ConfigurationError && {problems: error.problems}),
		...(process.env.GATEPASS_DEBUG === '1' && {stack: stacksOf(error)}),
	};
}

/** What the usual network errors mean. got's own message follows, for those who know it. */
const meanings: Readonly<Record<string, string>> = {
	...networkHints,
	ETIMEDOUT: 'It did not answer in time; check the network, or try again',
	ERR_TOO_MANY_REDIRECTS: "The server redirects in a circle; look at the hops with '-v'",
};

function messageOf(error: Error, command: string): string {
	if (error instanceof CommanderError) {
		return usageMessageOf(error, command);
	}
	const {code} = error as NodeJS.ErrnoException;
	const meaning = code === undefined ? undefined : meanings[code];
	return meaning === undefined ? error.message : `${error.message}. ${meaning}`;
}

/** What other programs call a command, where none is near enough to be suggested by its letters, or another is. */
const otherNames: Readonly<Record<string, readonly string[]>> = {
	doctor: ['validate', 'check', 'lint', 'test', 'verify', 'diagnose'],
	request: ['get', 'curl', 'fetch', 'http'],
	serve: ['start', 'proxy', 'daemon'],
	cert: ['certificate', 'certificates', 'certs', 'acme'],
	run: ['exec'],
	init: ['config', 'setup', 'new'],
	explain: ['why'],
	status: ['show'],
	token: ['login'],
	forget: ['logout'],
};

function usageMessageOf({message}: CommanderError, command?: string): string {
	const told = message.replace(/^error: /, '');
	// A key in PEM begins like an option. It is not repeated.
	if (/^unknown option '-----BEGIN/.test(told)) {
		return 'Text is given where the name of a file belongs. Write it into a file, and name that';
	}
	const unknown = command === 'gatepass' ? /^unknown command '([a-z]+)'/.exec(told)?.[1] : undefined;
	const meant = Object.keys(otherNames).find(name => otherNames[name]?.includes(unknown ?? ''));
	if (meant !== undefined) return `unknown command '${unknown}'\n(Did you mean ${meant}?)`;
	// An option that nobody knows may have been given a secret: `--hedaer=Authorization: …`.
	return told.replace(/^(unknown option '[^'=]*)=.*?'(?=\n|$)/s, "$1'");
}

/** The stacks alone: the properties of an error may hold the request. */
function stacksOf(error: Error): string {
	const stacks: string[] = [];
	const seen = new Set<unknown>();
	for (
		let current: unknown = error;
		current instanceof Error && !seen.has(current);
		current = current.cause
	) {
		seen.add(current);
		// Of the command line, it would repeat what messages leave out.
		stacks.push(
			current instanceof CommanderError ? usageMessageOf(current) : (current.stack ?? current.message),
		);
	}
	return stacks.join('\nCaused by: ');
}
