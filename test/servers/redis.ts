/** Debian's Redis as a private process that keeps nothing on disk. */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {findProgram, type RealServer} from './availability.ts';
import {startOnFreePort, stopProcess, untilSaid} from './process.ts';

export const redisServer: RealServer = {
	name: 'Redis',
	install: 'apt-get install redis-server',
	whyUnavailable() {
		for (const program of ['redis-server', 'redis-cli']) {
			if (findProgram(program) === undefined) return `there is no program ${program}`;
		}
		return undefined;
	},
};

export interface RedisSettings {
	/** PEM files: then it speaks TLS alone. */
	readonly tls?: {readonly certificate: string; readonly key: string; readonly ca: string};
}

export interface Redis {
	/** `redis:` or `rediss:`, with its password. */
	readonly url: string;
	/** Forget all keys. */
	clear(): Promise<void>;
	/** End it at once, as in a crash. */
	kill(): Promise<void>;
	/** Start it again on the same port. */
	restart(): Promise<void>;
	/** Stop it from answering while its connections stay open, until `resume`. */
	pause(): void;
	resume(): void;
	/** What redis-cli prints for a command. Not over TLS. */
	run(...command: string[]): Promise<string>;
	close(): Promise<void>;
}

const password = 'redis-password-of-the-tests';

export async function startRedis({tls}: RedisSettings = {}): Promise<Redis> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-redis-'));
	const startOn = (port: number): Promise<ChildProcess> => start(port, folder, tls);
	let port = 0;
	let server: ChildProcess;
	try {
		[port, server] = await startOnFreePort(startOn);
	} catch (error) {
		await rm(folder, {recursive: true, force: true});
		throw error;
	}
	const run = async (...command: string[]): Promise<string> => {
		const {stdout} = await promisify(execFile)(findProgram('redis-cli') as string, [
			'-h',
			'127.0.0.1',
			'-p',
			String(port),
			'-a',
			password,
			'--no-auth-warning',
			...command,
		]);
		return stdout.trimEnd();
	};
	return {
		url: `${tls === undefined ? 'redis' : 'rediss'}://:${password}@127.0.0.1:${port}`,
		run,
		async clear() {
			await run('FLUSHALL');
		},
		kill: () => stopProcess(server, 'SIGKILL'),
		async restart() {
			server = await startOn(port);
		},
		pause: () => void server.kill('SIGSTOP'),
		resume: () => void server.kill('SIGCONT'),
		async close() {
			await stopProcess(server, 'SIGKILL');
			await rm(folder, {recursive: true, force: true});
		},
	};
}

async function start(port: number, folder: string, tls: RedisSettings['tls']): Promise<ChildProcess> {
	const ports =
		tls === undefined
			? {port}
			: {
					port: 0,
					'tls-port': port,
					'tls-cert-file': tls.certificate,
					'tls-key-file': tls.key,
					'tls-ca-cert-file': tls.ca,
					'tls-auth-clients': 'no',
				};
	const settings = {
		...ports,
		bind: '127.0.0.1',
		requirepass: password,
		dir: folder,
		save: '',
		appendonly: 'no',
		daemonize: 'no',
	};
	const server = spawn(
		findProgram('redis-server') as string,
		Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
		{stdio: ['ignore', 'pipe', 'ignore']},
	);
	await untilSaid(server, server.stdout, 'Ready to accept connections');
	return server;
}
