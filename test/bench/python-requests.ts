/** Python requests as a peer: a process of Debian's Python that answers each line with a line. */
import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import type {RealServer} from '../servers/availability.ts';
import type {BurstResult} from './token-client.ts';

const python = '/usr/bin/python3';

export const pythonRequests: RealServer = {
	name: 'Python requests',
	install: 'apt-get install python3-requests',
	whyUnavailable() {
		const {error, status} = spawnSync(python, ['-c', 'import requests'], {stdio: 'ignore'});
		if (error !== undefined) return `there is no program ${python}`;
		return status === 0 ? undefined : `${python} has no module requests`;
	},
};

export interface PythonClient {
	burst(requests: number): Promise<BurstResult>;
	close(): Promise<void>;
}

/** Start a script of this folder that reads a number of requests from each line. Its first line says that it is ready. */
export async function startPythonClient(
	script: string,
	...parameters: readonly string[]
): Promise<PythonClient> {
	const file = fileURLToPath(new URL(script, import.meta.url));
	const process = spawn(python, ['-B', file, ...parameters], {stdio: ['pipe', 'pipe', 'inherit']});
	const lines = createInterface(process.stdout)[Symbol.asyncIterator]();
	const nextLine = async (): Promise<unknown> => {
		const {value, done} = await lines.next();
		if (done === true) throw new Error(`${script} ended before it answered`);
		return JSON.parse(value);
	};
	await nextLine();
	return {
		async burst(requests) {
			process.stdin.write(`${requests}\n`);
			return (await nextLine()) as BurstResult;
		},
		async close() {
			if (process.exitCode !== null || process.signalCode !== null) return;
			const ended = once(process, 'exit');
			process.stdin.end();
			await ended;
		},
	};
}
