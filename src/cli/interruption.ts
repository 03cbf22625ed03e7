/** Lets work that put something in place elsewhere, such as an answer to a challenge, take it away when it is interrupted. */
import process from 'node:process';
import {exitCodes} from './exit-codes.ts';
import {note} from './output.ts';

const signals = {SIGINT: exitCodes.interrupted, SIGTERM: exitCodes.terminated} as const;
type Name = keyof typeof signals;

/** Do `work` with a signal that Ctrl-C aborts; a second one ends the process at once. */
export async function interruptible<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
	const controller = new AbortController();
	const names = Object.keys(signals) as Name[];
	let code: number | undefined;
	const before = names.map(name => [name, process.listeners(name)] as const);
	const listen = (name: Name): void => {
		if (code !== undefined) process.exit(code);
		code = signals[name];
		note('Interrupted: taking away what was put in place. Once more ends it at once.');
		controller.abort();
	};
	for (const name of names) process.removeAllListeners(name).on(name, listen);
	try {
		return await work(controller.signal);
	} finally {
		if (code !== undefined) process.exit(code);
		for (const [name, listeners] of before) {
			process.removeAllListeners(name);
			for (const listener of listeners) process.on(name, listener);
		}
	}
}
