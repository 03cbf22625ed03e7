/**
 * Holds a response back until the conversation accepts it.
 *
 * got is given the first leg's request. While the conversation decides, its `response` event is held back; where
 * the conversation sends again, later legs are sent from here, and the response that is accepted is emitted by the
 * first request in the end. So got's retries, redirects, streams and timeouts work as ever, and a redirect is
 * verified before it is followed. got's own `afterResponse` hook does not run for streams and slows every request.
 */
import {once} from 'node:events';
import type {ClientRequest, IncomingMessage} from 'node:http';
import {setImmediate as immediate, setTimeout as pause} from 'node:timers/promises';
import type {Hop, HopContext} from '../../hop/request.ts';
import {scrubRequest} from '../../http/sent-headers.ts';
import {isIterable} from '../reopenable-body.ts';
import {type Received, receivedResponse} from './received-response.ts';
import {forgiveWrites, upload} from './upload.ts';

/** Milliseconds to read an unwanted response to its end. */
const longestDrain = 1000;

export class HeldBack {
	readonly #hop: Hop;
	readonly #context: HopContext;
	readonly #first: ClientRequest;
	readonly #sendLeg: () => ClientRequest | Promise<ClientRequest>;
	readonly #body: unknown;
	/** Told once how the hop ended. */
	#onEnd: ((status: number | undefined) => void) | undefined;
	readonly #emit: ClientRequest['emit'];
	readonly #destroy: ClientRequest['destroy'];
	/** `held`: the first leg is answered and got does not know it yet. */
	#state: 'sent' | 'held' | 'over' = 'sent';
	/** The leg that is under way, so that a timeout or an abort ends that one. */
	#current: ClientRequest;
	/** The response that the conversation decides on. */
	#inHand: IncomingMessage | undefined;
	/** The response before, whose body nobody wants. */
	#unwanted: IncomingMessage | undefined;
	/** got's `timeout.socket`, in milliseconds: it holds for every leg. */
	#idleTimeout: number | undefined;
	/** got has let go of the first leg, because it sees that it is answered. */
	#released = false;

	constructor(
		hop: Hop,
		context: HopContext,
		first: ClientRequest,
		sendLeg: () => ClientRequest | Promise<ClientRequest>,
		body: unknown,
		onEnd: ((status: number | undefined) => void) | undefined,
	) {
		this.#hop = hop;
		this.#context = context;
		this.#first = first;
		this.#current = first;
		this.#sendLeg = sendLeg;
		this.#body = body;
		this.#onEnd = onEnd;
		this.#emit = first.emit;
		this.#destroy = first.destroy;
	}

	begin(): void {
		const first = this.#first;
		first.emit = (event: string | symbol, ...values: unknown[]): boolean => {
			if (event === 'response') {
				this.#state = 'held';
				void this.#receive(values[0] as IncomingMessage);
				return true;
			}
			// An answered request can still fail while its body is on its way; what counts is the answer.
			if (event === 'error' && this.#state === 'held') return true;
			// Without a response the conversation is over: let it clean up.
			if (event === 'close' && this.#state === 'sent') this.#end();
			return this.#emit.call(first, event, ...values);
		};
		if (isIterable(this.#body)) forgiveWrites(first, () => this.#state === 'held');
		const {setTimeout} = first;
		first.setTimeout = (milliseconds, onTimeout) => {
			this.#idleTimeout = milliseconds;
			return setTimeout.call(first, milliseconds, onTimeout);
		};
		first.destroy = (error?: Error): ClientRequest => {
			if (this.#state !== 'held') {
				this.#end();
				this.#destroy.call(first, error);
				scrubRequest(first);
				return first;
			}
			if (error === undefined && this.#isRelease()) this.#release();
			else this.#abandon(error);
			return first;
		};
	}

	/**
	 * The conversation wants a connection for the next leg: read the response in hand to its end, so that its own can
	 * be taken. One that takes long is left to itself.
	 */
	async drain(): Promise<void> {
		const message = this.#inHand;
		if (message === undefined || message.closed) return;
		message.on('error', () => {});
		message.resume();
		await Promise.race([
			once(message, 'close').catch(() => {}),
			pause(longestDrain, undefined, {ref: false}),
		]);
		// Node puts the socket back into the pool in the next round.
		await immediate();
	}

	async #receive(message: IncomingMessage): Promise<void> {
		this.#inHand = message;
		scrubRequest(this.#current);
		if (this.#unwanted?.complete === false) this.#unwanted.destroy();
		const received: Received = receivedResponse(message);
		try {
			const verdict = await this.#hop.run.receive(received.response);
			if (this.#state === 'over') {
				message.destroy();
				return;
			}
			// A body that is used up cannot be sent again, so the response in hand is the last one.
			if (verdict === 'deliver' || !this.#hop.request.replayable) {
				this.#deliver(message, received);
				return;
			}
			message.on('error', () => {});
			message.resume();
			this.#unwanted = message;
			await this.#sendAgain();
		} catch (error) {
			message.destroy();
			this.#fail(error as Error);
		}
	}

	#deliver(message: IncomingMessage, received: Received): void {
		// Its end came while the conversation was still deciding; got would wait for it for ever.
		if (message.destroyed && !message.complete) throw cutOff();
		if (this.#released && this.#current === this.#first) {
			message.once('close', () => this.#destroy.call(this.#first));
		}
		this.#end(message.statusCode);
		this.#emit.call(this.#first, 'response', received.deliver());
	}

	async #sendAgain(): Promise<void> {
		const body = this.#body;
		// What is still to be uploaded of a stream would hold up the one that is opened now.
		const isUploading = isIterable(body) && !this.#first.writableEnded;
		if (this.#released || isUploading) this.#destroy.call(this.#first);
		const leg = await this.#sendLeg();
		if (this.#state === 'over') {
			leg.on('error', () => {});
			leg.destroy();
			return;
		}
		this.#current = leg;
		let isAnswered = false;
		leg.once('response', message => {
			isAnswered = true;
			void this.#receive(message);
		});
		// An answered request can still fail while its body is on its way; what counts is the answer.
		leg.on('error', error => {
			if (!isAnswered) this.#fail(error);
		});
		leg.on('timeout', () => this.#emit.call(this.#first, 'timeout'));
		if (this.#idleTimeout !== undefined) leg.setTimeout(this.#idleTimeout);
		if (isIterable(body)) upload(body, leg, error => this.#fail(error));
		else leg.end(body as string | Uint8Array | undefined);
	}

	/**
	 * got destroys a request without an error for two reasons: it gives the whole request up, or it stops uploading
	 * because it sees an answer. HTTP/2 requests destroy themselves once they are answered.
	 */
	#isRelease(): boolean {
		const {signal} = this.#context;
		const first = this.#first as ClientRequest & {isGotHttp2Request?: boolean};
		if (this.#released || signal?.aborted === true) return false;
		return !first.writableEnded || first.isGotHttp2Request === true;
	}

	#release(): void {
		this.#released = true;
		if (this.#current !== this.#first) this.#destroy.call(this.#first);
	}

	#fail(error: Error): void {
		if (this.#state === 'over') return;
		this.#abandon(error);
	}

	/** End whatever is under way. Without an error, got knows of it already. */
	#abandon(error: Error | undefined): void {
		const first = this.#first;
		this.#end();
		if (this.#current !== first) {
			this.#current.destroy();
			scrubRequest(this.#current);
		}
		if (error !== undefined) this.#tell(error);
		// What is still to come of it is no news.
		first.on('error', () => {});
		this.#destroy.call(first);
	}

	/** The first leg may be long over, and then would not tell got of an error by itself. */
	#tell(error: Error): void {
		const first = this.#first as ClientRequest & {res?: IncomingMessage | undefined};
		const {res} = first;
		// got passes over a connection that breaks once there is a response; but this one it has never seen.
		first.res = undefined;
		this.#emit.call(first, 'error', error);
		// got looks in a microtask of its own, which comes before this one.
		queueMicrotask(() => {
			first.res = res;
		});
	}

	#end(status?: number): void {
		this.#onEnd?.(status);
		this.#onEnd = undefined;
		this.#state = 'over';
		const {run} = this.#hop;
		// A conversation whose clean-up fails has nobody left to tell.
		if (!run.isDone) run.end().catch(() => {});
	}
}

function cutOff(): Error {
	return Object.assign(new Error('The server closed the connection in the middle of its response'), {
		code: 'ECONNRESET',
	});
}
