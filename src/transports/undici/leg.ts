/**
 * One leg of a hop, as undici tells of it: its answer is held until the conversation accepts it or does not want it.
 *
 * An answer is held without stopping undici, which would cost more than most answers: what comes meanwhile is kept,
 * and only what is more than a little stops the flow.
 */
import type {IncomingHttpHeaders} from 'node:http';
import type {Duplex} from 'node:stream';
import {setTimeout as pause} from 'node:timers/promises';
import type {Dispatcher} from 'undici';
import type {Leg} from '../../hop/run.ts';
import type {AuthResponse} from '../../strategy/index.ts';
import type {RawHeaders} from './headers.ts';
import {reachedNobody} from './stale-reads.ts';

type Controller = Dispatcher.DispatchController;

/** Bytes of a body that are kept while the conversation decides. */
const mostHeld = 64 * 1024;
/** Bytes of an unwanted body that are read, so that its connection can be used again. */
const mostUnwanted = 64 * 1024;
/** Milliseconds for it where the connection is waited for. */
const longestDrain = 1000;

/** What of an answer is handed on. */
export interface Answer {
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
	readonly statusText: string | undefined;
	readonly rawHeaders: RawHeaders;
	/** There is no body to come: the connection itself is handed over. */
	readonly upgraded?: Duplex;
	/** The headers that may be told; there is no body then. */
	readonly kept: readonly string[] | undefined;
}

/** Who gets the answer that is accepted. */
export interface Receiver {
	/** The leg is about to be sent, and can be broken off. */
	started(controller: Controller): void;
	bodySent(chunk: Buffer): void;
	requestSent(): void;
	data(chunk: Buffer): void;
	end(trailers: IncomingHttpHeaders, rawTrailers: RawHeaders): void;
	failed(error: Error): void;
}

/** An informational answer (RFC 9110 section 15.2), which comes before the one that counts. */
export interface Interim {
	readonly status: number;
	readonly headers: IncomingHttpHeaders;
	readonly statusText: string | undefined;
}

export class HeldLeg implements Leg, Dispatcher.DispatchHandler {
	readonly #receiver: Receiver;
	readonly #answered = Promise.withResolvers<HeldLeg>();
	/** `asked`: no answer yet; `held`: the conversation decides; then accepted or unwanted; `over`: all is told. */
	#state: 'asked' | 'held' | 'accepted' | 'unwanted' | 'over' = 'asked';
	#controller: Controller | undefined;
	#answer: Answer | undefined;
	#kept: readonly string[] | undefined;
	#chunks: Buffer[] = [];
	#held = 0;
	#begun = 0;
	#isSent = false;
	#isReceived = false;
	#trailers: IncomingHttpHeaders = {};
	#failure: Error | undefined;
	#onDone: (() => void) | undefined;
	/** Bytes that are held before the flow is stopped: more, where the conversation wants to read them. */
	#most = mostHeld;
	readonly interim: Interim[] = [];

	constructor(receiver: Receiver) {
		this.#receiver = receiver;
	}

	/** Itself, once it is answered; rejects where it fails before. */
	get answered(): Promise<HeldLeg> {
		return this.#answered.promise;
	}

	get response(): AuthResponse {
		const {status, headers} = this.#answer as Answer;
		return {
			status,
			headers,
			body: undefined,
			withhold: keepHeaders => {
				this.#kept = keepHeaders;
			},
		};
	}

	/** Whether the answer came to its end, so that its connection may be used again. */
	get isReceived(): boolean {
		return this.#isReceived;
	}

	async readBody(most: number): Promise<Uint8Array | undefined> {
		this.#most = most;
		if (!this.#isReceived && this.#failure === undefined && this.#held <= most) {
			const done = new Promise<void>(resolve => {
				this.#onDone = resolve;
			});
			this.#controller?.resume();
			await done;
		}
		const isWhole = this.#isReceived && this.#held <= most && this.#answer?.upgraded === undefined;
		return isWhole ? Buffer.concat(this.#chunks) : undefined;
	}

	/** Whether it has reached nobody, having failed so. */
	reachedNobody(error: Error): boolean {
		return this.#answer === undefined && this.interim.length === 0 && reachedNobody(error, this.#begun);
	}

	/** Hand over the answer; what follows goes to the receiver, beginning with {@link HeldLeg.flow}. */
	accept(): Answer {
		this.#state = 'accepted';
		const answer = this.#answer as Answer;
		if (this.#kept === undefined) return answer;
		this.discard();
		return {...answer, kept: this.#kept};
	}

	/** Go on with what was held, until `isPaused` says stop; then with what comes. */
	flow(isPaused: () => boolean): void {
		while (this.#state === 'accepted' && this.#chunks.length > 0 && !isPaused()) {
			this.#receiver.data(this.#chunks.shift() as Buffer);
		}
		if (this.#state !== 'accepted' || isPaused()) return;
		const failure = this.#failure;
		// fetch is deaf to it in the same turn as it hears of the answer.
		if (failure !== undefined) setImmediate(() => this.#finish(() => this.#receiver.failed(failure)));
		else if (this.#isReceived) this.#finish(() => this.#end());
		else this.#controller?.resume();
	}

	/** Stop what comes of an answer that is accepted. */
	pause(): void {
		this.#controller?.pause();
	}

	/** Break it off. */
	abort(reason: Error): void {
		const isTold = this.#state === 'over' || this.#state === 'unwanted';
		// One that came to its end has nothing more to say by itself.
		if (this.#isReceived && !isTold) this.#finish(() => this.#receiver.failed(reason));
		else if (this.#controller !== undefined) this.#controller.abort(reason);
	}

	/** Nobody wants the answer: read what is left of it, where that is little. */
	discard(): void {
		if (this.#state === 'over' || this.#state === 'unwanted') return;
		this.#state = 'unwanted';
		this.#chunks = [];
		this.#answer?.upgraded?.destroy();
		if (this.#isReceived) return;
		// What is left to upload would hold up the next leg.
		if (!this.#isSent || this.#held > mostUnwanted) this.#breakOff();
		else this.#controller?.resume();
	}

	/** The same, and wait until its connection is free. One that takes long is broken off. */
	async drain(): Promise<void> {
		this.discard();
		if (this.#isReceived) return;
		const done = new Promise<void>(resolve => {
			this.#onDone = resolve;
		});
		await Promise.race([done, pause(longestDrain, undefined, {ref: false})]);
		this.giveUp();
	}

	/** What is unwanted, and still comes, is waited for no longer. */
	giveUp(): void {
		if (this.#state === 'unwanted' && !this.#isReceived) this.#breakOff();
	}

	#breakOff(): void {
		this.#controller?.abort(new Error('The rest of an answer that was refused is not read'));
	}

	#finish(tell: () => void): void {
		this.#state = 'over';
		tell();
		this.#controller = undefined;
		this.#answer = undefined;
	}

	#end(): void {
		this.#receiver.end(this.#trailers, this.#controller?.rawTrailers ?? null);
	}

	onRequestStart(controller: Controller): void {
		this.#controller = controller;
		this.#begun = performance.now();
		if (this.#state === 'unwanted') this.#breakOff();
		else this.#receiver.started(controller);
	}

	onBodySent(chunk: Buffer): void {
		this.#receiver.bodySent(chunk);
	}

	onRequestSent(): void {
		this.#isSent = true;
		this.#receiver.requestSent();
	}

	onResponseStart(
		controller: Controller,
		status: number,
		headers: IncomingHttpHeaders,
		statusText?: string,
	): void {
		if (status < 200) {
			this.interim.push({status, headers, statusText});
			return;
		}
		this.#receive(controller, {
			status,
			headers,
			statusText,
			rawHeaders: controller.rawHeaders ?? null,
			kept: undefined,
		});
	}

	onRequestUpgrade(
		controller: Controller,
		status: number,
		headers: IncomingHttpHeaders,
		upgraded: Duplex,
	): void {
		this.#isReceived = true;
		const rawHeaders = controller.rawHeaders ?? null;
		this.#receive(controller, {
			status,
			headers,
			statusText: undefined,
			rawHeaders,
			upgraded,
			kept: undefined,
		});
	}

	#receive(controller: Controller, answer: Answer): void {
		this.#controller = controller;
		this.#answer = answer;
		if (this.#state !== 'asked') return;
		this.#state = 'held';
		this.#answered.resolve(this);
	}

	onResponseData(controller: Controller, chunk: Buffer): void {
		this.#held += chunk.length;
		if (this.#state === 'accepted' && this.#chunks.length === 0) {
			this.#receiver.data(chunk);
		} else if (this.#state === 'unwanted') {
			if (this.#held > mostUnwanted) this.#breakOff();
		} else if (this.#state !== 'over') {
			this.#chunks.push(chunk);
			if (this.#held > this.#most) {
				controller.pause();
				this.#onDone?.();
			}
		}
	}

	onResponseEnd(controller: Controller, trailers: IncomingHttpHeaders): void {
		this.#controller = controller;
		this.#isReceived = true;
		this.#trailers = trailers;
		if (this.#state === 'accepted' && this.#chunks.length === 0) this.#finish(() => this.#end());
		this.#onDone?.();
	}

	onResponseError(_controller: Controller, error: Error): void {
		if (this.#state === 'asked') {
			this.#state = 'over';
			this.#answered.reject(error);
		} else if (this.#state === 'accepted' && this.#chunks.length === 0) {
			this.#finish(() => this.#receiver.failed(error));
		} else {
			this.#failure = error;
		}
		this.#onDone?.();
	}
}
