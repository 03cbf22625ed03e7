/**
 * Sends one hop as often as its conversation wants, and lets got see the last response only.
 *
 * got is given the first leg's request. While the conversation decides, its `response` event is held back; where
 * the conversation sends again, later legs are sent from here, and the response that is accepted is emitted by the
 * first request in the end. So got's retries, redirects, streams and timeouts work as ever, and a redirect is
 * verified before it is followed. got's own `afterResponse` hook does not run for streams and slows every request.
 */
import type {ClientRequest, IncomingMessage, RequestOptions} from 'node:http';
import {beginHop, type Hop, type HopContext, type HopPlan} from '../hop.ts';
import {type Received, receivedResponse} from './received-response.ts';
import {blotOut} from './sent-headers.ts';

type Send = (url: URL, options: RequestOptions) => ClientRequest | Promise<ClientRequest>;

/** Send one hop by its plan. Resolves with the request that got is to use. */
export async function exchange(
	plan: HopPlan,
	context: HopContext,
	url: URL,
	native: RequestOptions,
	body: unknown,
	send: Send,
): Promise<ClientRequest> {
	if (plan.rule === undefined) return send(url, withTls(plan, native, url, undefined));
	const headers = {...(native.headers as Record<string, string | string[] | undefined>)};
	const hop = await beginHop(plan.rule, context, url, native.method ?? 'GET', headers);
	const sendLeg = (): ClientRequest | Promise<ClientRequest> => {
		const {request} = hop;
		context.shown = request.identity;
		return send(
			request.target,
			withTls(plan, {...native, headers: {...request.headers.record}}, url, request.identity),
		);
	};
	const first = await sendLeg();
	if (!hop.run.isDone) new HeldBack(hop, first, sendLeg, body).begin();
	return first;
}

/** The agent of gatepass takes the place of the caller's where an identity or a trust set asks for it. */
function withTls(
	plan: HopPlan,
	native: RequestOptions,
	url: URL,
	identity: Parameters<HopPlan['agentFor']>[0],
): RequestOptions {
	if (url.protocol !== 'https:' || (identity === undefined && plan.trust === undefined)) return native;
	return {...native, agent: plan.agentFor(identity)};
}

/** The first leg's request, whose response is held back until the conversation accepts one. */
class HeldBack {
	readonly #hop: Hop;
	readonly #first: ClientRequest;
	readonly #sendLeg: () => ClientRequest | Promise<ClientRequest>;
	readonly #body: unknown;
	readonly #emit: ClientRequest['emit'];
	/** The leg that is under way, so that a timeout or an abort ends that one. */
	#current: ClientRequest;
	#answered = false;
	#ended = false;

	constructor(
		hop: Hop,
		first: ClientRequest,
		sendLeg: () => ClientRequest | Promise<ClientRequest>,
		body: unknown,
	) {
		this.#hop = hop;
		this.#first = first;
		this.#current = first;
		this.#sendLeg = sendLeg;
		this.#body = body;
		this.#emit = first.emit;
	}

	begin(): void {
		const first = this.#first;
		first.emit = (event: string | symbol, ...values: unknown[]): boolean => {
			if (event === 'response') {
				this.#answered = true;
				void this.#receive(values[0] as IncomingMessage);
				return true;
			}
			// Without a response the conversation is over: let it clean up.
			if (event === 'close' && !this.#answered) void this.#end();
			return this.#emit.call(first, event, ...values);
		};
		const {destroy} = first;
		first.destroy = (error?: Error): ClientRequest => {
			if (!this.#ended) void this.#end();
			if (this.#current !== first) this.#current.destroy(error);
			return destroy.call(first, error);
		};
	}

	async #receive(message: IncomingMessage): Promise<void> {
		const received: Received = receivedResponse(message);
		try {
			const verdict = await this.#hop.run.receive(received.response);
			if (this.#ended) return;
			// A body that is used up cannot be sent again, so the response in hand is the last one.
			if (verdict === 'deliver' || !this.#hop.request.replayable) {
				await this.#end();
				this.#emit.call(this.#first, 'response', received.deliver());
				return;
			}
			message.on('error', () => {});
			message.resume();
			blotOut(this.#current);
			await this.#sendAgain();
		} catch (error) {
			message.destroy();
			this.#fail(error as Error);
		}
	}

	async #sendAgain(): Promise<void> {
		const leg = await this.#sendLeg();
		if (this.#ended) {
			leg.destroy();
			return;
		}
		this.#current = leg;
		leg.once('response', message => void this.#receive(message));
		leg.once('error', error => this.#fail(error));
		leg.on('timeout', () => this.#emit.call(this.#first, 'timeout'));
		leg.end(this.#body as string | Uint8Array | undefined);
	}

	#fail(error: Error): void {
		if (this.#ended) return;
		void this.#end();
		this.#emit.call(this.#first, 'error', error);
		this.#first.destroy();
	}

	async #end(): Promise<void> {
		this.#ended = true;
		// A conversation whose clean-up fails has nobody left to tell.
		await this.#hop.run.end().catch(() => {});
	}
}
