/** Runs a program that prints a credential: no shell, no input, and no more time and output than it is given. */
import {type ChildProcess, spawn} from 'node:child_process';
import {accessSync, constants, statSync} from 'node:fs';
import {delimiter, join} from 'node:path';

/** Real credentials have a few kilobytes: a certificate with its chain and key has ten. */
const largestOutput = 1024 * 1024;
/** Of what it says on stderr, the end is kept. */
const longestWords = 4000;
/** Milliseconds for which a program that has ended may leave its output open: what it started may have inherited it. */
const closingPatience = 1000;

export interface ProgramRun {
	readonly command: readonly string[];
	readonly folder: string;
	readonly environment: Readonly<Record<string, string | undefined>>;
	/** Milliseconds. */
	readonly timeout: number;
	readonly signal: AbortSignal;
}

/** How a run ended. */
export type ProgramEnd =
	| {readonly kind: 'exited'; readonly status: number}
	| {readonly kind: 'signalled'; readonly signal: string}
	/** It was killed for what it did. */
	| {readonly kind: 'too slow' | 'too much'}
	/** It could not be started. */
	| {readonly kind: 'not started'; readonly code: string};

export interface ProgramOutcome {
	readonly end: ProgramEnd;
	/** What it printed: most likely a secret. */
	readonly output: string;
	/** The end of what it wrote to stderr. */
	readonly words: string;
}

/** Run it to its end, or to the end of its time. Rejects with the reason of the signal alone. */
export function runProgram(run: ProgramRun): Promise<ProgramOutcome> {
	const {command, folder, environment, timeout, signal} = run;
	const [program = '', ...parameters] = command;
	signal.throwIfAborted();
	return new Promise((resolve, reject) => {
		const child = spawn(program, parameters, {
			cwd: folder,
			env: environment as NodeJS.ProcessEnv,
			stdio: ['ignore', 'pipe', 'pipe'],
			// A group and a session of its own: what it starts ends with it, and it cannot ask at a terminal and wait.
			detached: true,
			windowsHide: true,
		});
		const output: Buffer[] = [];
		let size = 0;
		let words = Buffer.alloc(0);
		let isSettled = false;
		let patience: NodeJS.Timeout | undefined;
		const settle = (outcome: () => void): void => {
			if (isSettled) return;
			isSettled = true;
			clearTimeout(deadline);
			clearTimeout(patience);
			signal.removeEventListener('abort', callOff);
			child.stdout.destroy();
			child.stderr.destroy();
			outcome();
		};
		const finish = (end: ProgramEnd): void =>
			settle(() => {
				resolve({end, output: Buffer.concat(output).toString('utf8'), words: words.toString('utf8')});
			});
		const stop = (end: ProgramEnd): void => {
			killGroup(child);
			finish(end);
		};
		const callOff = (): void => {
			killGroup(child);
			settle(() => reject(signal.reason));
		};
		const deadline = setTimeout(() => stop({kind: 'too slow'}), timeout);
		signal.addEventListener('abort', callOff, {once: true});

		child.stdout.on('data', (chunk: Buffer) => {
			size += chunk.length;
			if (size > largestOutput) stop({kind: 'too much'});
			else output.push(chunk);
		});
		child.stderr.on('data', (chunk: Buffer) => {
			words = Buffer.concat([words, chunk]).subarray(-longestWords);
		});
		for (const stream of [child.stdout, child.stderr]) stream.on('error', () => {});
		child.once('error', ({code = 'unknown'}: NodeJS.ErrnoException) => finish({kind: 'not started', code}));
		child.once('exit', (status, killedBy) => {
			patience = setTimeout(() => finish(endOf(status, killedBy)), closingPatience);
		});
		child.once('close', (status, killedBy) => finish(endOf(status, killedBy)));
	});
}

function endOf(status: number | null, signal: NodeJS.Signals | null): ProgramEnd {
	return status === null ? {kind: 'signalled', signal: signal ?? 'a signal'} : {kind: 'exited', status};
}

function killGroup(child: ChildProcess): void {
	if (child.pid === undefined) return;
	try {
		process.kill(-child.pid, 'SIGKILL');
	} catch {
		// It has ended already, or there are no groups here.
		child.kill('SIGKILL');
	}
}

/** Whether there is such a program: as the operating system looks for it, and without running it. */
export function isProgram(
	program: string,
	folder: string,
	{PATH}: Readonly<Record<string, string | undefined>>,
): boolean {
	const places = program.includes('/')
		? [join(program.startsWith('/') ? '/' : folder, program)]
		: (PATH ?? '/usr/local/bin:/bin:/usr/bin').split(delimiter).map(place => join(place || folder, program));
	return places.some(isExecutable);
}

function isExecutable(file: string): boolean {
	try {
		accessSync(file, constants.X_OK);
		return statSync(file).isFile();
	} catch {
		return false;
	}
}
