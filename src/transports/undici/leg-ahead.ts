/**
 * The first leg of a hop, sent without a conversation: its strategy has the credential at hand. The caller's handler is
 * told what undici tells, by one object for both, for as long as the answer is none that the conversation wants to see.
 * Where it is one, an {@link Exchange} takes over, whose conversation begins with the leg that was sent. That what is at
 * hand is what a conversation shows on its first leg, the conformance kit checks for each strategy.
 */
import type {IncomingHttpHeaders} from 'node:http';
import type {Dispatcher} from 'undici';
import {type HopReport, reportHop} from '../../hop/report.ts';
import {wantsConversation} from '../../hop/run.ts';
import type {CredentialAtHand} from '../../strategy/index.ts';
import {explainTlsFailure} from '../../tls/explain.ts';
import {mostResends} from '../../tls/idle-connections.ts';
import {noteLostConnection} from '../lost-connection.ts';
import {Exchange, type ExchangeSettings} from './exchange.ts';
import {marked, markedRaw, type RawHeaders, withHeader} from './headers.ts';
import type {HeldLeg, Interim} from './leg.ts';
import {reachedNobody} from './stale-reads.ts';

type Controller = Dispatcher.DispatchController;
type Handler = Dispatcher.DispatchHandler;

/** In the place of the settings once all is over: a stream that outlives its request is not to keep them. */
const over: Partial<ExchangeSettings> = {};

/** Whether a request may be sent so: its body is in memory. */
export function maySendAhead({options: {body, upgrade}}: Pick<ExchangeSettings, 'options'>): boolean {
	const isInMemory =
		body === null || body === undefined || typeof body === 'string' || body instanceof Uint8Array;
	return isInMemory && !upgrade;
}

export class LegAhead implements Controller, Handler {
	#settings: ExchangeSettings;
	readonly #credential: CredentialAtHand;
	readonly #report: HopReport | undefined;
	/** As undici gets it. */
	#options: object | undefined;
	#begun = 0;
	#resends = 0;
	/** undici's, once the leg is about to be sent. */
	#controller: Controller | undefined;
	#interim: Interim[] | undefined;
	#rawHeaders: RawHeaders = null;
	#rawTrailers: RawHeaders = null;
	#isPaused = false;
	#isAborted = false;
	#isAnswered = false;
	#isOver = false;
	#reason: Error | null = null;
	/** What goes on with the request, and its leg in there. */
	#next: {readonly exchange: Exchange; readonly leg: HeldLeg} | undefined;

	constructor(settings: ExchangeSettings, credential: CredentialAtHand) {
		this.#settings = settings;
		this.#credential = credential;
		const {route, target, sendings} = settings;
		this.#report = reportHop(route, target, target.method, sendings);
	}

	begin(): void {
		const {handler, options, target} = this.#settings;
		try {
			handler.onRequestStart?.(this, null);
			if (this.#isOver) return;
			const {header} = this.#credential;
			const headers =
				header === undefined ? options.headers : withHeader(options.headers, header[0], header[1]);
			const {origin, path} = target;
			this.#options = {...options, origin, path, query: undefined, headers};
			this.#report?.beginLeg();
			this.#dispatch();
		} catch (error) {
			this.#fail(error as Error);
		}
	}

	#dispatch(): void {
		const {route, target, connections} = this.#settings;
		const {identity} = this.#credential;
		const wanted = {identity, connectionOwner: undefined, proxy: undefined};
		connections
			.dispatcherFor(route, target, wanted)
			.dispatch(this.#options as Dispatcher.DispatchOptions, this);
	}

	onRequestStart(controller: Controller): void {
		this.#controller = controller;
		this.#begun = performance.now();
		if (this.#isOver) controller.abort(this.#reason as Error);
		else if (this.#isPaused) controller.pause();
	}

	onBodySent(chunk: Buffer): void {
		if (this.#next !== undefined) this.#next.leg.onBodySent(chunk);
		else this.#settings.handler?.onBodySent?.(chunk);
	}

	onRequestSent(): void {
		if (this.#next !== undefined) this.#next.leg.onRequestSent();
		else this.#settings.handler?.onRequestSent?.();
	}

	onResponseStart(
		controller: Controller,
		status: number,
		headers: IncomingHttpHeaders,
		statusText?: string,
	): void {
		if (status < 200) {
			this.#interim ??= [];
			this.#interim.push({status, headers, statusText});
			return;
		}
		if (wantsConversation(status)) {
			this.#goOn(controller, status, headers, statusText);
			return;
		}
		this.#isAnswered = true;
		const {handler, route} = this.#settings;
		this.#report?.end(status);
		for (const interim of this.#interim ?? []) {
			handler.onResponseStart?.(this, interim.status, interim.headers, interim.statusText);
		}
		const isPrivate = route.rule.carriesCredential;
		const raw = controller.rawHeaders ?? null;
		this.#rawHeaders = isPrivate ? markedRaw(raw) : raw;
		handler.onResponseStarted?.();
		handler.onResponseStart?.(this, status, isPrivate ? marked(headers) : headers, statusText);
	}

	onResponseData(controller: Controller, chunk: Buffer): void {
		if (this.#next !== undefined) this.#next.leg.onResponseData(controller, chunk);
		else this.#settings.handler.onResponseData?.(this, chunk);
	}

	onResponseEnd(controller: Controller, trailers: IncomingHttpHeaders): void {
		if (this.#next !== undefined) {
			this.#next.leg.onResponseEnd(controller, trailers);
			return;
		}
		const {handler} = this.#settings;
		this.#isOver = true;
		this.#rawTrailers = controller.rawTrailers ?? null;
		try {
			handler.onResponseEnd?.(this, trailers);
		} catch (error) {
			// undici's retries say so that they want none of it.
			handler.onResponseError?.(this, error as Error);
		}
		this.#forget();
	}

	onResponseError(controller: Controller, error: Error): void {
		if (this.#next !== undefined) {
			this.#next.leg.onResponseError(controller, error);
		} else if (this.#reachedNobody(error)) {
			this.#resends += 1;
			this.#report?.beginLeg(error);
			this.#controller = undefined;
			// undici is still busy with the connection that broke.
			queueMicrotask(() => this.#resend());
		} else {
			this.#fail(error);
		}
	}

	/** Whether it can be sent again: its body is in memory. */
	#reachedNobody(error: Error): boolean {
		return (
			!this.#isOver &&
			!this.#isAnswered &&
			this.#interim === undefined &&
			this.#resends < mostResends &&
			this.#controller !== undefined &&
			reachedNobody(error, this.#begun)
		);
	}

	#resend(): void {
		if (this.#isOver) return;
		try {
			this.#dispatch();
		} catch (error) {
			this.#fail(error as Error);
		}
	}

	/** The conversation is to see this answer: hold it as one that it asked for. */
	#goOn(
		controller: Controller,
		status: number,
		headers: IncomingHttpHeaders,
		statusText: string | undefined,
	): void {
		this.#report?.endLeg(status);
		const exchange = new Exchange({...this.#settings, report: this.#report});
		const leg = exchange.takeOver(this.#credential, this.#isPaused);
		this.#next = {exchange, leg};
		this.#forget();
		leg.interim.push(...(this.#interim ?? []));
		leg.onRequestStart(controller);
		leg.onResponseStart(controller, status, headers, statusText);
	}

	#fail(error: Error): void {
		if (this.#isOver) return;
		this.#isOver = true;
		this.#reason = error;
		const {handler, route, target} = this.#settings;
		this.#controller?.abort(error);
		this.#report?.end(undefined, undefined, error);
		this.#forget();
		// Why the caller breaks off may be anything.
		const explained = this.#isAborted
			? undefined
			: explainTlsFailure(error, route.trust, this.#credential.identity, target.url);
		const isLost = explained === undefined && !this.#isAborted && !this.#isAnswered;
		const told = isLost ? noteLostConnection(error, target.method, target.url) : (explained ?? error);
		handler.onResponseError?.(this, told);
	}

	/** What the answer's stream holds on to this object for is nothing that is in there. */
	#forget(): void {
		this.#settings = over as ExchangeSettings;
		this.#options = undefined;
		this.#controller = undefined;
	}

	get aborted(): boolean {
		return this.#next?.exchange.aborted ?? this.#isAborted;
	}

	get reason(): Error | null {
		return this.#next !== undefined ? this.#next.exchange.reason : this.#isAborted ? this.#reason : null;
	}

	get paused(): boolean {
		return this.#next?.exchange.paused ?? this.#isPaused;
	}

	get rawHeaders(): RawHeaders {
		return this.#next === undefined ? this.#rawHeaders : this.#next.exchange.rawHeaders;
	}

	get rawTrailers(): RawHeaders {
		return this.#next === undefined ? this.#rawTrailers : this.#next.exchange.rawTrailers;
	}

	abort(reason: Error): void {
		if (this.#next !== undefined) {
			this.#next.exchange.abort(reason);
		} else if (!this.#isOver) {
			this.#isAborted = true;
			this.#fail(reason);
		}
	}

	pause(): void {
		this.#isPaused = true;
		if (this.#next === undefined) this.#controller?.pause();
		else this.#next.exchange.pause();
	}

	resume(): void {
		this.#isPaused = false;
		if (this.#next === undefined) this.#controller?.resume();
		else this.#next.exchange.resume();
	}
}
