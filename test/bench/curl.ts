/** `curl --negotiate` as a peer: a process that is given all the URLs of a burst. It sends its tokens preemptively. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {performance} from 'node:perf_hooks';
import {findProgram, type RealServer} from '../servers/availability.ts';

export const curl: RealServer = {
	name: 'curl',
	install: 'apt-get install curl',
	whyUnavailable: () => (findProgram('curl') === undefined ? 'there is no program curl' : undefined),
};

export interface CurlBurst {
	readonly requests: number;
	readonly atOnce: number;
	/** Each over a connection of its own. */
	readonly cold: boolean;
}

/** The same, as on a command line: a process for each request. */
export async function curlCommands(
	url: string,
	credentialCache: string,
	{requests, atOnce}: Omit<CurlBurst, 'cold'>,
): Promise<number> {
	let left = requests;
	const runUntilNoneIsLeft = async (): Promise<void> => {
		while (left > 0) {
			left -= 1;
			await curlBurst(url, credentialCache, {requests: 1, atOnce: 1, cold: false});
		}
	};
	const start = performance.now();
	await Promise.all(Array.from({length: atOnce}, runUntilNoneIsLeft));
	return (requests / (performance.now() - start)) * 1000;
}

/** Requests a second. The start of the process counts, about 15 ms. */
export async function curlBurst(
	url: string,
	credentialCache: string,
	{requests, atOnce, cold}: CurlBurst,
): Promise<number> {
	const transfers = `url = "${url}"\noutput = "/dev/null"\n`.repeat(requests);
	const child = spawn(
		findProgram('curl') as string,
		[
			...['--silent', '--fail', '--negotiate', '--user', ':', '--config', '-'],
			...(atOnce > 1 ? ['--parallel', '--parallel-max', String(atOnce)] : []),
			...(cold ? ['--header', 'Connection: close'] : []),
		],
		{
			// In parallel it says how far it is, silent or not.
			stdio: ['pipe', 'ignore', 'ignore'],
			env: {...process.env, KRB5CCNAME: credentialCache},
		},
	);
	const start = performance.now();
	const ended = once(child, 'exit');
	child.stdin.end(transfers);
	const [code] = await ended;
	if (code !== 0) throw new Error(`curl ended with code ${code}`);
	return (requests / (performance.now() - start)) * 1000;
}
