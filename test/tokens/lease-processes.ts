/** Starts processes that contend for leases, and talks to them. */
import {type ChildProcess, fork} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';

export interface LeaseRequest {
	readonly id: number;
	readonly call: 'acquire' | 'release';
	readonly key: string;
	readonly holder: string;
	readonly duration: number;
}

export interface LeaseAnswer {
	readonly id: number;
	readonly result?: boolean | undefined;
	readonly error?: string;
}

const script = fileURLToPath(new URL('lease-child.ts', import.meta.url));

/** A process of its own that takes leases under its own name. */
export class LeaseProcess {
	readonly process: ChildProcess;
	readonly #name: string;
	readonly #answers = new Map<number, (answer: LeaseAnswer) => void>();
	#calls = 0;

	private constructor(child: ChildProcess) {
		this.process = child;
		this.#name = `process ${child.pid}`;
		child.on('message', (answer: LeaseAnswer) => this.#answers.get(answer.id)?.(answer));
	}

	/** @param clockAhead milliseconds that its clock is ahead of the machine's. */
	static async start(storeUrl: string, {clockAhead = 0} = {}): Promise<LeaseProcess> {
		const setClock = `const now = Date.now; Date.now = () => now() + ${clockAhead};`;
		const child = fork(script, [storeUrl], {
			execArgv: clockAhead === 0 ? [] : ['--import', `data:text/javascript,${encodeURIComponent(setClock)}`],
			stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
		});
		await once(child, 'message');
		return new LeaseProcess(child);
	}

	/** Rejects where the process's call did. */
	acquire(key: string, duration: number): Promise<boolean> {
		return this.#ask({call: 'acquire', key, duration}) as Promise<boolean>;
	}

	async release(key: string): Promise<void> {
		await this.#ask({call: 'release', key, duration: 0});
	}

	/** SIGKILL: it cannot give anything back. */
	async kill(): Promise<void> {
		if (this.process.exitCode !== null || this.process.signalCode !== null) return;
		const exited = once(this.process, 'exit');
		this.process.kill('SIGKILL');
		await exited;
	}

	/** SIGSTOP: it stands still, without knowing. */
	pause(): void {
		this.process.kill('SIGSTOP');
	}

	/** SIGCONT */
	resume(): void {
		this.process.kill('SIGCONT');
	}

	async #ask(request: Omit<LeaseRequest, 'id' | 'holder'>): Promise<boolean | undefined> {
		const id = this.#calls++;
		const answer = new Promise<LeaseAnswer>(resolve => this.#answers.set(id, resolve));
		this.process.send({id, holder: this.#name, ...request} satisfies LeaseRequest);
		const {result, error} = await answer;
		this.#answers.delete(id);
		if (error !== undefined) throw new Error(error);
		return result;
	}
}
