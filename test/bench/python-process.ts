/** A process of Debian's Python that answers each line with a line of JSON. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';

export const python = '/usr/bin/python3';

export interface PythonProcess {
	/** One at a time. */
	ask<Answer>(line: string): Promise<Answer>;
	/** End it, and wait for its end. */
	close(): Promise<void>;
}

/** Start a script of this folder; it has said a first line once it is ready. */
export async function startPython(
	name: string,
	parameters: readonly string[],
	environment: NodeJS.ProcessEnv = {},
): Promise<PythonProcess> {
	const script = fileURLToPath(new URL(name, import.meta.url));
	const child = spawn(python, ['-B', script, ...parameters], {
		stdio: ['pipe', 'pipe', 'inherit'],
		env: {...process.env, ...environment},
	});
	const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
	const nextLine = async (): Promise<unknown> => {
		const {value, done} = await lines.next();
		if (done === true) throw new Error(`${name} ended before it answered`);
		return JSON.parse(value);
	};
	await nextLine();
	return {
		async ask<Answer>(line: string) {
			child.stdin.write(`${line}\n`);
			return (await nextLine()) as Answer;
		},
		async close() {
			if (child.exitCode !== null || child.signalCode !== null) return;
			const ended = once(child, 'exit');
			child.stdin.end();
			await ended;
		},
	};
}
