/** Processes that share a token store: starts them, and talks to them. */
import {fork} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';

const script = fileURLToPath(new URL('fleet-child.ts', import.meta.url));

/** What a token cache is opened with. */
export interface CacheSettings {
	readonly storeUrl: string;
	readonly tokenEndpoint: string;
	/** Milliseconds. */
	readonly leaseDuration: number;
	/** The user to become before the store is opened, by number. Only root may ask for that. */
	readonly user?: number;
	/** Whether the end of a token is judged by the clock of the token endpoint. */
	readonly heedsDate?: boolean;
}

/** What a process is told. */
export type Order =
	| ({readonly does: 'begin'} & CacheSettings)
	| {readonly does: 'ask'; readonly calls: number; readonly key: string; readonly refused?: string}
	| {readonly does: 'advance'; readonly milliseconds: number}
	| {readonly does: 'end'};

/** What its calls came to, each text once. */
export interface Answer {
	readonly tokens: readonly string[];
	readonly failures: readonly string[];
	/** What went wrong with the store since the last answer. */
	readonly reports: readonly string[];
}

export interface Member {
	readonly pid: number;
	readonly isRunning: boolean;
	/** Open a token cache, in the place of the one before, with the clock as it is. */
	begin(settings: CacheSettings): Promise<void>;
	/** Ask for the token, so many times at once. */
	ask(calls: number, key?: string): Promise<Answer>;
	/** The same for calls whose token was refused: each drops it first. */
	askAnew(calls: number, refused: string): Promise<Answer>;
	/** Set its clock forward. */
	advance(milliseconds: number): Promise<void>;
	signal(signal: NodeJS.Signals): void;
	/** Also one that is paused, or is gone already. */
	end(): Promise<void>;
}

/** Start a process, with variables besides those of this one. Resolves when it is ready. */
export async function startMember(env: Record<string, string> = {}): Promise<Member> {
	const child = fork(script, {env: {...process.env, ...env}});
	const answered = async (): Promise<unknown> => {
		const ended = new AbortController();
		const fail = () => ended.abort();
		child.once('exit', fail);
		try {
			const [answer] = await once(child, 'message', {signal: ended.signal});
			return answer;
		} catch (error) {
			throw ended.signal.aborted ? new Error('The process ended before it answered') : error;
		} finally {
			child.off('exit', fail);
		}
	};
	const tell = (order: Order): Promise<unknown> => {
		const answer = answered();
		child.send(order);
		return answer;
	};
	await answered();
	return {
		pid: child.pid ?? 0,
		get isRunning() {
			return child.exitCode === null && child.signalCode === null;
		},
		async begin(settings) {
			await tell({does: 'begin', ...settings});
		},
		ask: (calls, key = 'fleet') => tell({does: 'ask', calls, key}) as Promise<Answer>,
		askAnew: (calls, refused) => tell({does: 'ask', calls, key: 'fleet', refused}) as Promise<Answer>,
		async advance(milliseconds) {
			await tell({does: 'advance', milliseconds});
		},
		signal: signal => void child.kill(signal),
		async end() {
			if (child.exitCode !== null || child.signalCode !== null) return;
			const ended = once(child, 'exit');
			child.kill('SIGCONT');
			child.send({does: 'end'} satisfies Order);
			const impatience = setTimeout(() => child.kill('SIGKILL'), 60_000);
			await ended;
			clearTimeout(impatience);
		},
	};
}

export async function startFleet(size: number): Promise<Member[]> {
	return Promise.all(Array.from({length: size}, () => startMember()));
}
