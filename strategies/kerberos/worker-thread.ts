/**
 * The thread that runs the GSS-API for one rule, seen from outside: calls with a time limit.
 *
 * A call that hangs in the library cannot be cancelled. Its thread is given up then, with all that waits in it, and
 * the next call starts a new one; the old one ends when the library returns.
 */
import {once} from 'node:events';
import {existsSync} from 'node:fs';
import {Worker} from 'node:worker_threads';
import type {
	Answer,
	Call,
	CredentialFacts,
	Failure,
	Progress,
	ThreadSettings,
	WorkerSettings,
} from './gss-messages.ts';
import {noteBusy, noteIdle} from './prompt-exit.ts';

/** A call failed, as the worker says. */
export class CallFailed extends Error {
	readonly failure: Failure;

	constructor(failure: Failure) {
		super(failure.text);
		this.failure = failure;
	}
}

/** A call took too long. */
export class CallTimedOut extends Error {}

/** The calls that are answered. */
type Asking<Kind extends Call['kind']> = Omit<Extract<Call, {kind: Kind; id: number}>, 'id' | 'kind'>;

interface Waiting {
	resolve(result: Answer['result']): void;
	reject(error: Error): void;
}

/** Node runs TypeScript in a thread as it does elsewhere; the built package has JavaScript beside this file. */
const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const beside = new URL(`./gss-worker.${extension}`, import.meta.url);
/** The bundler that makes the built package puts what several files import among its chunks, as it may this one. */
const fromChunks = new URL(`../strategies/kerberos/gss-worker.${extension}`, import.meta.url);
const script = existsSync(beside) || !existsSync(fromChunks) ? beside : fromChunks;

/** Heimdal's start is not safe in two threads at once. */
const lock = new Int32Array(new SharedArrayBuffer(4));

export class WorkerThread {
	readonly #settings: ThreadSettings;
	readonly #timeout: number;
	#worker: Worker | undefined;
	#abandoned = new Int32Array(new SharedArrayBuffer(4));
	/** In the order of the calls, which is that of the answers. */
	#waiting = new Map<number, Waiting>();
	#timer: NodeJS.Timeout | undefined;
	#nextId = 0;
	readonly #bell = new Int32Array(new SharedArrayBuffer(4));
	/** Contexts that the thread has not been told of yet. */
	#ended: number[] = [];
	#isClosed = false;

	/** @param timeout milliseconds that one call may take in the library. */
	constructor(settings: ThreadSettings, timeout: number) {
		this.#settings = settings;
		this.#timeout = timeout;
	}

	begin(call: Asking<'begin'>): Promise<Progress> {
		return this.#ask(id => ({...call, kind: 'begin', id})) as Promise<Progress>;
	}

	step(call: Asking<'step'>): Promise<Progress> {
		return this.#ask(id => ({...call, kind: 'step', id})) as Promise<Progress>;
	}

	whose(call: Asking<'whose'>): Promise<string | undefined> {
		return this.#ask(id => ({...call, kind: 'whose', id})) as Promise<string | undefined>;
	}

	inquire(): Promise<CredentialFacts> {
		return this.#ask(id => ({kind: 'inquire', id})) as Promise<CredentialFacts>;
	}

	/** End a context: with the next call, or soon without one. Where its thread is gone, so is the context. */
	dispose(context: number): void {
		this.#ended.push(context);
		if (this.#ended.length > 1) return;
		setImmediate(() => {
			if (this.#ended.length > 0 && this.#worker !== undefined) this.#send(this.#worker, {kind: 'dispose'});
		});
	}

	/** End the thread; calls that wait are told so. */
	async close(): Promise<void> {
		this.#isClosed = true;
		await this.#abandon(new CallFailed({phase: 'library', text: 'gatepass was closed'}));
	}

	#ask(callWith: (id: number) => Call): Promise<Answer['result']> {
		if (this.#isClosed) {
			return Promise.reject(new CallFailed({phase: 'library', text: 'gatepass was closed'}));
		}
		this.#nextId += 1;
		const id = this.#nextId;
		this.#worker ??= this.#start();
		const worker = this.#worker;
		return new Promise((resolve, reject) => {
			this.#waiting.set(id, {resolve, reject});
			if (this.#waiting.size === 1) {
				// The process stays for the answer, and for nothing else.
				worker.ref();
				noteBusy(worker);
				this.#watch();
			}
			this.#send(worker, callWith(id));
		});
	}

	#send(worker: Worker, call: Call): void {
		const ended = this.#ended;
		if (ended.length > 0) this.#ended = [];
		worker.postMessage(ended.length > 0 ? {...call, ended} : call);
		Atomics.add(this.#bell, 0, 1);
		Atomics.notify(this.#bell, 0);
	}

	#start(): Worker {
		this.#abandoned = new Int32Array(new SharedArrayBuffer(4));
		const abandoned = this.#abandoned;
		const worker = new Worker(script, {
			name: 'gatepass kerberos',
			workerData: {...this.#settings, lock, abandoned, bell: this.#bell} satisfies WorkerSettings,
			// What the process was started with need not be right for a thread.
			execArgv: [],
		});
		worker.unref();
		worker.on('message', (answer: Answer) => this.#settle(answer));
		const lost = (reason: string): void => {
			if (this.#worker !== worker) return;
			void this.#abandon(new CallFailed({phase: 'library', text: reason}));
		};
		worker.on('error', ({name}) => lost(`The thread of the Kerberos library failed (${name})`));
		worker.on('exit', () => {
			noteIdle(worker);
			lost('The thread of the Kerberos library ended');
		});
		return worker;
	}

	#settle({id, result, failure}: Answer): void {
		const waiting = this.#waiting.get(id);
		if (waiting === undefined) return;
		this.#waiting.delete(id);
		if (this.#waiting.size > 0) this.#watch();
		else this.#setIdle();
		if (failure === undefined) waiting.resolve(result);
		else waiting.reject(new CallFailed(failure));
	}

	#setIdle(): void {
		if (this.#worker === undefined) return;
		this.#worker.unref();
		noteIdle(this.#worker);
	}

	/** The time of a call begins when the ones before it are answered. */
	#watch(): void {
		// One timer for all: it goes on when no call waits, and then means nothing. The thread keeps the process, not this.
		this.#timer ??= setTimeout(() => {
			if (this.#waiting.size === 0) return;
			void this.#abandon(new CallTimedOut(`The Kerberos library did not answer within ${this.#timeout} ms`));
		}, this.#timeout).unref();
		this.#timer.refresh();
	}

	async #abandon(error: Error): Promise<void> {
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#ended = [];
		const worker = this.#worker;
		const waiting = [...this.#waiting.values()];
		this.#worker = undefined;
		this.#waiting = new Map();
		for (const {reject} of waiting) reject(error);
		if (worker === undefined) return;
		worker.removeAllListeners('message');
		Atomics.store(this.#abandoned, 0, 1);
		// Never by force: in the middle of its work, the library takes the whole process with it.
		this.#send(worker, {kind: 'end'});
		if (error instanceof CallTimedOut) worker.unref();
		else await untilEnded(worker, this.#timeout);
	}
}

/** The process stays until then, but for no call that hangs. */
async function untilEnded(worker: Worker, timeout: number): Promise<void> {
	worker.ref();
	const limit = AbortSignal.timeout(timeout);
	await once(worker, 'exit', {signal: limit}).catch(() => {});
	worker.unref();
}
