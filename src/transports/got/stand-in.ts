/**
 * The request that got is given in the place of Node's: one for the whole hop, however many legs it takes.
 *
 * To got it is the first leg, whose answer comes late: what got writes goes there, and so do its timeouts. Where the
 * conversation sends again, later legs are sent from here, and got sees the answer that is accepted in the end. So
 * got's retries, redirects, streams and timeouts work as ever. `response.req` stays Node's own request: with another
 * one there, Node would not use its connection again.
 */
import {EventEmitter} from 'node:events';
import type {ClientRequest, IncomingMessage} from 'node:http';
import type {Socket} from 'node:net';
import type {Writable} from 'node:stream';
import type {BodyEncoder} from '../../strategy/index.ts';
import {reachedNobody} from '../../tls/idle-connections.ts';
import {refusalBehind} from '../../tls/rejections.ts';
import {scrubRequest} from '../../tls/requests-apart.ts';
import {chunksOf} from '../body-bytes.ts';
import {isIterable} from '../reopenable-body.ts';
import {LegAnswer} from './leg.ts';
import {encodingEntry, upload} from './upload.ts';

type Callback = (error?: Error | null) => void;

/** What got hears of a leg besides answers and errors. */
const forwarded = ['socket', 'connect', 'continue', 'information', 'upgrade', 'finish', 'abort'];

export interface StandInSettings {
	/** The error to show in the place of one of a write; `undefined`: it needs no explanation. */
	readonly explain: (error: Error) => Error | undefined;
	/** Once an abort is asked for, got does not only let go of the first leg. */
	readonly signal: AbortSignal | undefined;
	/** That of the first leg. */
	readonly body: unknown;
	/** What makes of it what is sent on the first leg. */
	readonly encoder: BodyEncoder | undefined;
	/** Whether a leg that has reached nobody can be sent again. */
	readonly isReplayable: () => boolean;
}

export class StandInRequest extends EventEmitter {
	/** The response that got has seen. */
	res: IncomingMessage | undefined;
	readonly #first: ClientRequest;
	/** What got writes goes in here: into the first leg, or into what encodes it. */
	readonly #entry: Writable;
	readonly #settings: StandInSettings;
	/** The leg that is under way, so that a timeout or an abort ends that one. */
	#current: ClientRequest;
	/** got's `timeout.socket`, in milliseconds: it holds for every leg. */
	#idleTimeout: number | undefined;
	#isAnswered = false;
	/** The first leg has reached nobody: another one has taken its place, with all of the body. */
	#isReplaced = false;
	/** got has let go of the first leg, because it sees that it is answered. */
	#isReleased = false;
	#isOver = false;
	/** Who waits for the answer to the leg that is under way. */
	#awaited: PromiseWithResolvers<LegAnswer> | undefined;
	/** Why got gave the request up, once it did. */
	#givenUp: Error | undefined;
	/** Writes that Node has not told of: it forgets those that a request still has when it is destroyed. */
	readonly #pending = new Set<Callback>();

	constructor(first: ClientRequest, settings: StandInSettings) {
		super();
		this.#first = first;
		this.#current = first;
		this.#settings = settings;
		for (const event of forwarded)
			first.on(event, (...values: unknown[]) => void this.emit(event, ...values));
		const {encoder} = settings;
		this.#entry = encoder === undefined ? first : encodingEntry(encoder, first);
		this.#entry.on('drain', () => void this.emit('drain'));
		this.#watch(first);
	}

	/**
	 * The answer to the leg that is under way: to be asked for once, as soon as the leg is there. Fails where the leg
	 * does, and where got gives the request up.
	 */
	answer(): Promise<LegAnswer> {
		this.#awaited = Promise.withResolvers();
		if (this.#givenUp !== undefined) this.#awaited.reject(this.#givenUp);
		return this.#awaited.promise;
	}

	/** Whether the leg that is under way, and failed so, has reached nobody, and another one may take its place. */
	reachedNobody(error: Error): boolean {
		if (this.#isOver || this.#settings.signal?.aborted === true || !this.#settings.isReplayable())
			return false;
		const leg = this.#current;
		if (leg === this.#first && this.#isReplaced) return true;
		if (!reachedNobody(leg.socket, error)) return false;
		if (leg === this.#first) this.#isReplaced = true;
		return true;
	}

	/**
	 * Send another leg in the place of the one before, with the body from its beginning.
	 *
	 * @throws {Error} once got has given the request up; then the leg is not sent.
	 */
	next(leg: ClientRequest, body: unknown, encoder: BodyEncoder | undefined): void {
		if (this.#isOver) {
			leg.on('error', () => {});
			leg.destroy();
		}
		this.throwIfOver();
		if (this.#isReplaced && this.#current === this.#first && !this.#first.writableFinished) {
			leg.once('finish', () => void this.emit('finish'));
		}
		this.#current = leg;
		this.#watch(leg);
		if (this.#idleTimeout !== undefined) leg.setTimeout(this.#idleTimeout);
		if (encoder !== undefined) upload(encoder(chunksOf(body)), leg, error => leg.destroy(error));
		else if (body !== undefined && isIterable(body)) upload(body, leg, error => leg.destroy(error));
		else leg.end(body as string | Uint8Array | undefined);
	}

	/** Before another leg: what is still to be uploaded of a stream would hold up the one that is opened now. */
	letGoOfFirst(): void {
		const isUploading = !this.#first.writableEnded && isIterable(this.#settings.body);
		if (this.#isReleased || isUploading) this.#first.destroy();
	}

	/** @throws {Error} once got has given the request up: nothing more is sent. */
	throwIfOver(): void {
		if (this.#isOver) throw this.#givenUp ?? closedEarly();
	}

	/** The answer that is accepted: got may see it. */
	deliver(answer: LegAnswer): void {
		const {message, content} = answer;
		// Its end came while the conversation was still deciding; got would wait for it for ever.
		if (message.destroyed && !message.complete) {
			this.fail(cutOff());
			return;
		}
		this.#isOver = true;
		if (this.#isReleased && this.#current === this.#first) {
			content.once('close', () => this.#first.destroy());
		}
		content.once('close', () => this.emit('close'));
		const response = answer.deliver();
		this.res = response;
		this.emit('response', response);
	}

	/** There is no answer. */
	fail(error: Error): void {
		if (this.#isOver) return;
		this.#end();
		this.emit('error', error);
		this.emit('close');
	}

	get socket(): Socket | null {
		return this.#first.socket;
	}

	get socketPath(): string | undefined {
		return (this.#first as {socketPath?: string}).socketPath;
	}

	get reusedSocket(): boolean {
		return this.#first.reusedSocket;
	}

	get destroyed(): boolean {
		const isGone = this.#first.destroyed && !this.#isReplaced;
		return isGone || (this.#isOver && this.res === undefined);
	}

	get writable(): boolean {
		return this.#entry.writable && !this.#isReplaced;
	}

	get writableEnded(): boolean {
		return this.#entry.writableEnded || this.#isReplaced;
	}

	get writableFinished(): boolean {
		return this.#entry.writableFinished;
	}

	setTimeout(milliseconds: number, onTimeout?: () => void): this {
		this.#idleTimeout = milliseconds;
		if (onTimeout !== undefined) this.once('timeout', onTimeout);
		this.#current.setTimeout(milliseconds);
		return this;
	}

	write(chunk: unknown, encoding: BufferEncoding, onWritten?: Callback): boolean {
		// got takes a write that fails for a failure of the request, also once that is answered, and waits for each.
		const callback: Callback = error => {
			if (!this.#pending.delete(callback)) return;
			const isNoFailure = error == null || (this.#isAnswered && isIterable(this.#settings.body));
			if (isNoFailure || (this.#current === this.#first && this.reachedNobody(error))) onWritten?.();
			else onWritten?.(this.#settings.explain(refusalBehind(error, this.#first.socket)) ?? error);
		};
		if (this.#isReplaced) {
			process.nextTick(onWritten ?? (() => {}));
			return true;
		}
		this.#pending.add(callback);
		return this.#entry.write(chunk, encoding, callback);
	}

	end(...parameters: unknown[]): this {
		if (!this.#isReplaced) this.#entry.end(...(parameters as []));
		return this;
	}

	destroy(error?: Error): this {
		if (this.#isOver) {
			this.#current.destroy(error);
		} else if (error === undefined && this.#isAnswered && this.#isRelease()) {
			this.#isReleased = true;
			if (this.#current !== this.#first) this.#first.destroy();
		} else {
			this.#end(error);
			this.#givenUp = error ?? new Error('The request was given up');
			this.#settle()?.reject(this.#givenUp);
			if (error !== undefined) this.emit('error', error);
			this.emit('close');
		}
		return this;
	}

	/**
	 * got destroys a request without an error for two reasons: it gives the whole request up, or it stops uploading
	 * because it sees an answer. HTTP/2 requests destroy themselves once they are answered.
	 */
	#isRelease(): boolean {
		const first = this.#first as ClientRequest & {isGotHttp2Request?: boolean};
		if (this.#isReleased || this.#settings.signal?.aborted === true) return false;
		return !first.writableEnded || first.isGotHttp2Request === true;
	}

	#watch(leg: ClientRequest): void {
		leg.on('timeout', () => void this.emit('timeout'));
		leg.once('response', message => {
			if (leg === this.#first) this.#isAnswered = true;
			scrubRequest(leg);
			if (leg === this.#current) this.#settle()?.resolve(new LegAnswer(message));
		});
		// Whoever waits for the answer is told, and what comes later is no news.
		leg.on('error', error => {
			if (leg === this.#current) this.#settle()?.reject(error);
		});
		leg.once('close', () => {
			if (leg === this.#first) for (const callback of [...this.#pending]) callback();
			if (leg === this.#current) this.#settle()?.reject(closedEarly());
		});
	}

	/** Whoever waits for the answer, who hears of one outcome only. */
	#settle(): PromiseWithResolvers<LegAnswer> | undefined {
		const awaited = this.#awaited;
		this.#awaited = undefined;
		return awaited;
	}

	#end(error?: Error): void {
		this.#isOver = true;
		for (const leg of new Set([this.#current, this.#first])) {
			leg.destroy(error);
			scrubRequest(leg);
		}
	}
}

function closedEarly(): Error {
	return Object.assign(new Error('socket hang up'), {code: 'ECONNRESET'});
}

function cutOff(): Error {
	return Object.assign(new Error('The server closed the connection in the middle of its response'), {
		code: 'ECONNRESET',
	});
}
