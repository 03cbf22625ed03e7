/** Python requests as a peer. */
import {spawnSync} from 'node:child_process';
import type {RealServer} from '../servers/availability.ts';
import {python, startPython} from './python-process.ts';
import type {BurstResult} from './token-client.ts';

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

/** Start a script of this folder that reads a number of requests from each line, and makes them. */
export async function startPythonClient(
	script: string,
	...parameters: readonly string[]
): Promise<PythonClient> {
	const {ask, close} = await startPython(script, parameters);
	return {burst: requests => ask<BurstResult>(String(requests)), close};
}
