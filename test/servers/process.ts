/** Servers as child processes: wait until one is ready, and end it. */
import type {ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import type {Readable} from 'node:stream';
import {freePorts} from './free-port.ts';

/** Start a server that cannot choose a port itself. One that was free may be taken by the time it starts. */
export async function startOnFreePort(
	start: (port: number) => Promise<ChildProcess>,
): Promise<[number, ChildProcess]> {
	for (let attempt = 1; ; attempt++) {
		const [port = 0] = await freePorts(1);
		try {
			return [port, await start(port)];
		} catch (error) {
			if (!String(error).includes('Address already in use') || attempt === 5) throw error;
		}
	}
}

/** Wait until the server prints `phrase`; rejects with all that it printed where it ends before. Gives what it has printed. */
export async function untilSaid(
	server: ChildProcess,
	output: Readable | null,
	phrase: string | RegExp,
): Promise<string> {
	const isIn = (text: string) => (typeof phrase === 'string' ? text.includes(phrase) : phrase.test(text));
	let said = '';
	return new Promise((resolve, reject) => {
		const deadline = setTimeout(() => {
			server.kill('SIGKILL');
			reject(new Error(`The server did not say '${phrase}' in time:\n${said}`));
		}, 60_000);
		const settle = (outcome: () => void): void => {
			clearTimeout(deadline);
			outcome();
		};
		// Read on to the end: a server whose output nobody reads would come to a stop.
		output?.on('data', chunk => {
			said += chunk;
			if (isIn(said)) settle(() => resolve(said));
		});
		server.once('error', error => settle(() => reject(error)));
		server.once('close', () => settle(() => reject(new Error(`The server ended:\n${said}`))));
	});
}

/** Wait until `gatepass serve` says where it serves, and give that. */
export async function untilServing(child: ChildProcess): Promise<string> {
	const announced = /serves (\S+)\n/;
	return announced.exec(await untilSaid(child, child.stderr, announced))?.[1] ?? '';
}

/** End it, also one that is paused, and wait for its end. */
export async function stopProcess(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
	if (server.exitCode !== null || server.signalCode !== null) return;
	const ended = once(server, 'close');
	server.kill(signal);
	server.kill('SIGCONT');
	await ended;
}
