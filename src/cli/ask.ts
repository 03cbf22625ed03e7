/** Asks a person on the terminal, and tells an answer from an interruption and from the end of the input. */
import process from 'node:process';
import {exitCodes} from './exit-codes.ts';
import {UsageError} from './failure.ts';

/** What each prompt of clack takes. Questions go to stderr, as all that is no result. */
export interface PromptSettings {
	readonly output: NodeJS.WriteStream;
	readonly signal: AbortSignal;
}

/**
 * Ask one question. Ctrl-C ends the command, after what it has put in place elsewhere is taken away.
 *
 * @param signal ends the question.
 * @throws {UsageError} where the input ends before the answer.
 */
export async function ask<Answer>(
	prompt: (settings: PromptSettings) => Promise<Answer>,
	signal?: AbortSignal,
): Promise<Exclude<Answer, symbol>> {
	const over = new AbortController();
	let isThrough = false;
	// The prompt hears nothing of it, and would wait for ever: the process would end as if all had been done.
	const end = (): void => {
		setImmediate(() => {
			if (!isThrough) over.abort();
		});
	};
	if (process.stdin.readableEnded) throw inputEnded();
	// The terminal is gone; or Ctrl-D, by which the reader of keys ends and the input only pauses.
	for (const event of ['end', 'close', 'pause']) process.stdin.on(event, end);
	try {
		const signals = [over.signal, ...(signal === undefined ? [] : [signal])];
		const answer = await prompt({output: process.stderr, signal: AbortSignal.any(signals)});
		if (typeof answer !== 'symbol') return answer as Exclude<Answer, symbol>;
	} finally {
		isThrough = true;
		for (const event of ['end', 'close', 'pause']) process.stdin.off(event, end);
	}
	signal?.throwIfAborted();
	if (over.signal.aborted) throw inputEnded();
	// To a prompt, Ctrl-C is a key as any other.
	process.emit('SIGINT', 'SIGINT');
	signal?.throwIfAborted();
	process.exit(exitCodes.interrupted);
}

function inputEnded(): UsageError {
	return new UsageError('The input ended before the question was answered. Run this again on a terminal');
}
