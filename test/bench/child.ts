/** Runs a script of the bench in a process of its own and talks to it: one answer for each question. */
import {type ChildProcess, fork} from 'node:child_process';
import {once} from 'node:events';

export interface Child {
	/** Send a question and wait for its answer. One at a time. */
	ask<Answer>(question: unknown): Promise<Answer>;
	/** End the process and wait until it is gone. */
	close(): Promise<void>;
}

/** Start a script of this folder. Resolves once it has sent its first message, which is passed on. */
export async function startChild<Greeting>(
	script: string,
	argument: unknown,
	execArgv: readonly string[] = [],
): Promise<{child: Child; greeting: Greeting}> {
	const process = fork(new URL(script, import.meta.url), [JSON.stringify(argument)], {
		execArgv: [...execArgv],
		stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
	});
	const greeting = await nextMessage<Greeting>(process, script);
	return {
		greeting,
		child: {
			async ask<Answer>(question: unknown): Promise<Answer> {
				const answer = nextMessage<Answer>(process, script);
				process.send(question as object);
				return answer;
			},
			async close() {
				if (process.exitCode !== null || process.signalCode !== null) return;
				const exited = once(process, 'exit');
				process.kill();
				await exited;
			},
		},
	};
}

function nextMessage<Message>(process: ChildProcess, script: string): Promise<Message> {
	return new Promise((resolve, reject) => {
		const onMessage = (message: unknown): void => {
			process.off('exit', onExit);
			resolve(message as Message);
		};
		const onExit = (code: number | null): void => {
			process.off('message', onMessage);
			reject(new Error(`${script} ended with code ${code} before it answered`));
		};
		process.once('message', onMessage);
		process.once('exit', onExit);
	});
}

/** In the child: the argument it was started with. */
export function childArgument<Argument>(): Argument {
	return JSON.parse(process.argv[2] ?? 'null') as Argument;
}

/** In the child: tell the parent. */
export function tellParent(message: unknown): void {
	if (process.send === undefined) throw new Error('This script is a part of the bench; start run.ts instead');
	process.send(message as object);
}

/** In the child: answer every question until the parent goes away. */
export function answerParent<Question>(answer: (question: Question) => Promise<unknown>): void {
	process.on('message', question => void answer(question as Question).then(tellParent));
	process.on('disconnect', () => process.exit());
}
