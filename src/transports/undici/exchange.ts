/**
 * One dispatched request under a rule: sends its legs, and lets the handler see the accepted answer only. To the
 * handler it is one request from its beginning, which can be broken off at any time.
 */
import type {IncomingHttpHeaders} from 'node:http';
import {setImmediate as immediate} from 'node:timers/promises';
import type {Dispatcher} from 'undici';
import {sendThroughProxy} from '../../hop/proxy-rule.ts';
import {type HopReport, reportHop, type Sendings} from '../../hop/report.ts';
import {HopRequest, type Route} from '../../hop/request.ts';
import {runHop, type Transport} from '../../hop/run.ts';
import type {Connection, CredentialAtHand} from '../../strategy/index.ts';
import {explainTlsFailure} from '../../tls/explain.ts';
import {mostResends} from '../../tls/idle-connections.ts';
import {byteLengthOf, bytesOf, chunksOf, lengthIn} from '../body-bytes.ts';
import {noteLostConnection} from '../lost-connection.ts';
import {isForm, ownForm, type PreparedBody, prepareBody} from './bodies.ts';
import type {Connections} from './connections.ts';
import {keepOnly, marked, markedRaw, type RawHeaders, toRecord} from './headers.ts';
import {type Answer, HeldLeg, type Receiver} from './leg.ts';
import type {ReadyConnection, ReadyConnections} from './ready-connections.ts';
import type {Target} from './target.ts';

type Controller = Dispatcher.DispatchController;

/** What one request is made of. */
export interface ExchangeSettings {
	readonly route: Route & {readonly rule: NonNullable<Route['rule']>};
	readonly target: Target;
	readonly options: Dispatcher.DispatchOptions;
	readonly handler: Dispatcher.DispatchHandler;
	readonly connections: Connections;
	readonly fresh: boolean;
	readonly tenant: string | undefined;
	/** Default: where there are listeners. */
	readonly isReported?: boolean;
	/** Absent: nobody wants to know, or it was not sent yet. */
	readonly sendings?: Sendings | undefined;
	/** Of a hop that has begun. */
	readonly report?: HopReport | undefined;
}

/** In the place of the settings once all is over. */
const over: Partial<ExchangeSettings> = {};

export class Exchange implements Controller, Receiver, Transport<HopRequest, HeldLeg> {
	#settings: ExchangeSettings;
	readonly #carriesCredential: boolean;
	readonly #request: HopRequest;
	#body: PreparedBody;
	readonly #report: HopReport | undefined;
	#leg: HeldLeg | undefined;
	#legs = 0;
	#ready: {connection: ReadyConnection; from: ReadyConnections; url: URL} | undefined;
	/** What was shown on a leg that was sent before the conversation, until the conversation asks for its first. */
	#ahead: CredentialAtHand | undefined;
	/** What the handler was told. */
	#answer: Answer | undefined;
	#rawTrailers: RawHeaders = null;
	#isPaused = false;
	#isAborted = false;
	/** Why it failed, or was broken off. */
	#reason: Error | null = null;
	/** The handler has been told the end, or why there is none. */
	#isOver = false;

	constructor(settings: ExchangeSettings) {
		const {route, target, options, fresh, tenant, isReported = true, report} = settings;
		this.#settings = settings;
		this.#carriesCredential = route.rule.carriesCredential;
		const headers = toRecord(options.headers);
		this.#body = prepareBody(options, headers);
		const {replayable} = this.#body;
		const connect = (_request: HopRequest, timeout: number) => this.#connect(timeout);
		const readBody = () => this.#readBody();
		const bodyLength = () => lengthIn(headers) ?? byteLengthOf(this.#body.body);
		const requestTarget = target.path;
		const context = {fresh, tenant, replayable, connect, readBody, bodyLength, requestTarget};
		this.#request = new HopRequest(target.url, target.method, headers, context, route.rule.info);
		this.#report =
			report ?? (isReported ? reportHop(route, target, target.method, settings.sendings) : undefined);
	}

	begin(): void {
		try {
			this.#settings.handler.onRequestStart?.(this, null);
		} catch (error) {
			this.failed(error as Error);
		}
		if (!this.#isOver) void this.#run();
	}

	/** Go on with a request whose first leg is on its way, and whose handler was told of its beginning. */
	takeOver(credential: CredentialAtHand, isPaused: boolean): HeldLeg {
		this.#ahead = credential;
		this.#isPaused = isPaused;
		this.#leg = new HeldLeg(this);
		this.#legs = 1;
		void this.#run();
		return this.#leg;
	}

	async #run(): Promise<void> {
		try {
			this.#deliver(await runHop(this.#settings.route.rule, this.#request, this));
		} catch (error) {
			this.failed(error as Error);
		}
	}

	/** One leg to the server; it may take several to the proxy in between. */
	send(request: HopRequest): Promise<HeldLeg> {
		const through = this.#proxyRuleFor(request);
		if (through === undefined) return this.#sendOnce(request);
		return sendThroughProxy(through, request, () => this.#sendOnce(request));
	}

	#proxyRuleFor(request: HopRequest): ReturnType<Route['proxyRuleFor']> {
		const {route, target, connections} = this.#settings;
		if (request.proxy !== undefined || connections.proxyFor(route, target, request) === undefined)
			return undefined;
		return route.proxyRuleFor(target.url);
	}

	#sendOnce(request: HopRequest): Promise<HeldLeg> {
		if (this.#isOver) return Promise.reject(this.#reason);
		const before = this.#leg;
		if (before !== undefined && this.#ahead !== undefined) {
			const isSame = request.showsOnly(this.#ahead);
			this.#ahead = undefined;
			if (isSame) return before.answered;
			// What is at hand now is another one by now.
			before.discard();
		}
		const report = this.#report;
		report?.beginLeg();
		const answered = this.#dispatch(request, mostResends);
		if (before === undefined && report === undefined) return answered;
		return answered.then(leg => {
			report?.endLeg(leg.response.status);
			before?.giveUp();
			return leg;
		});
	}

	/** Send a leg; again, where it reaches nobody. A connection that was wanted before the request is for that leg alone. */
	#dispatch(request: HopRequest, resends: number): Promise<HeldLeg> {
		const {route, target, connections} = this.#settings;
		const leg = new HeldLeg(this);
		this.#leg = leg;
		this.#legs += 1;
		const ready = this.#ready?.connection;
		const dispatcher =
			ready?.isOpen === true ? ready.client : connections.dispatcherFor(route, target, request);
		dispatcher.dispatch(this.#optionsFor(request), leg);
		if (resends === 0 || this.#ready !== undefined || !request.replayable) return leg.answered;
		return leg.answered.catch(error => {
			if (this.#isOver || !leg.reachedNobody(error as Error)) throw error;
			this.#report?.beginLeg(error);
			return this.#dispatch(request, resends - 1);
		});
	}

	/** Read the body, and send what was read from then on. */
	async #readBody(): Promise<Uint8Array | undefined> {
		const {body, end} = this.#body;
		const {headers} = this.#request;
		let bytes: Uint8Array | undefined;
		if (isForm(body)) {
			// The form's boundary is in the type: it is made here, and not by undici as it sends.
			const encoded = new Response(ownForm(body));
			bytes = new Uint8Array(await encoded.arrayBuffer());
			headers.set('content-type', encoded.headers.get('content-type') as string);
		} else {
			bytes = await bytesOf(body);
		}
		end();
		if (bytes === undefined) return undefined;
		if (headers.has('content-length')) headers.set('content-length', `${bytes.byteLength}`);
		this.#body = {body: bytes, replayable: true, end() {}};
		return bytes;
	}

	#optionsFor(request: HopRequest): Dispatcher.DispatchOptions {
		const {headers, addsQuery, target, proxy, encoder} = request;
		const {options, target: own, route, connections} = this.#settings;
		const named = connections.proxyFor(route, own, request);
		if (proxy === undefined && named?.authorization !== undefined) {
			headers.set('proxy-authorization', named.authorization);
		}
		const path = addsQuery ? target.pathname + target.search : own.path;
		// RFC 9112 section 3.2.2: a proxy is asked for the whole URL.
		const isForProxy = (proxy ?? named) !== undefined && own.protocol === 'http:';
		return {
			...options,
			origin: own.origin,
			path: isForProxy ? own.origin + path : path,
			query: undefined,
			headers: headers.asSent(),
			body: encoder === undefined ? this.#body.body : encoder(chunksOf(this.#body.body)),
			gatepass: undefined,
		} as unknown as Dispatcher.DispatchOptions;
	}

	/** The conversation wants to know the connection of the next leg. */
	async #connect(timeout: number): Promise<Connection | undefined> {
		if (this.#isOver) return undefined;
		const {route, target, connections} = this.#settings;
		const from = connections.readyFor(route, target, this.#request);
		if (from === undefined) return undefined;
		if (this.#leg !== undefined) {
			await this.#leg.drain();
			// undici closes a connection that the server does not keep right after the answer.
			await immediate();
		}
		if (this.#ready?.connection.isOpen !== true) {
			this.#letGo();
			this.#ready = {from, url: target.url, connection: await from.take(target.url, timeout)};
			// Broken off meanwhile.
			if (this.#isOver) this.#letGo();
		}
		return this.#ready?.connection.describe();
	}

	#letGo(): void {
		if (this.#ready === undefined) return;
		const {connection, from, url} = this.#ready;
		this.#ready = undefined;
		if (this.#leg === undefined || this.#leg.isReceived) void from.give(url, connection);
		else connection.close();
	}

	#deliver(leg: HeldLeg): void {
		if (this.#isOver) {
			leg.discard();
			return;
		}
		const {handler} = this.#settings;
		const answer = leg.accept();
		const {status, headers, statusText, kept, upgraded} = answer;
		this.#report?.end(status, this.#request);
		if (kept !== undefined) {
			const harmless = keepOnly(headers, kept);
			this.#answer = {...answer, rawHeaders: harmless};
			handler.onResponseStart?.(this, status, harmless, statusText);
			if (!this.#isOver) this.end({}, {});
			return;
		}
		for (const interim of leg.interim) {
			handler.onResponseStart?.(this, interim.status, interim.headers, interim.statusText);
		}
		this.#answer = answer;
		const shown = this.#carriesCredential ? marked(headers) : headers;
		if (upgraded !== undefined) {
			// The connection is the handler's now.
			this.#ready = undefined;
			try {
				handler.onRequestUpgrade?.(this, status, shown, upgraded);
			} catch (error) {
				upgraded.destroy();
				throw error;
			}
			this.#close();
			return;
		}
		handler.onResponseStarted?.();
		handler.onResponseStart?.(this, status, shown, statusText);
		leg.flow(() => this.#isPaused);
	}

	started(controller: Controller): void {
		if (this.#isOver) controller.abort(this.#reason as Error);
	}

	bodySent(chunk: Buffer): void {
		if (this.#legs === 1) this.#settings.handler?.onBodySent?.(chunk);
	}

	requestSent(): void {
		if (this.#legs === 1) this.#settings.handler?.onRequestSent?.();
	}

	data(chunk: Buffer): void {
		if (!this.#isOver) this.#settings.handler.onResponseData?.(this, chunk);
	}

	end(trailers: IncomingHttpHeaders, rawTrailers: RawHeaders): void {
		if (this.#isOver) return;
		const {handler} = this.#settings;
		this.#rawTrailers = rawTrailers;
		this.#close();
		try {
			handler.onResponseEnd?.(this, trailers);
		} catch (error) {
			// undici's retries say so that they want none of it.
			handler.onResponseError?.(this, error as Error);
		}
		this.#forget();
	}

	failed(error: Error): void {
		if (this.#isOver) return;
		const {route, target, handler} = this.#settings;
		// Why the caller breaks off may be anything.
		const {identity} = this.#request;
		const explained = this.#isAborted
			? undefined
			: explainTlsFailure(error, route.trust, identity, target.url);
		const isLost = explained === undefined && !this.#isAborted && this.#answer === undefined;
		const told = isLost ? noteLostConnection(error, target.method, target.url) : (explained ?? error);
		this.#reason = error;
		this.#isOver = true;
		this.#leg?.abort(error);
		this.#report?.end(undefined, this.#request, error);
		this.#close();
		handler.onResponseError?.(this, told);
		this.#forget();
	}

	#close(): void {
		this.#isOver = true;
		this.#body.end();
		this.#letGo();
	}

	/**
	 * The answer's stream holds on to this object for as long as its reader does, and V8 keeps what belongs together:
	 * with the request and the leg, each collection would have twice as much to copy.
	 */
	#forget(): void {
		this.#settings = over as ExchangeSettings;
		this.#leg = undefined;
		this.#answer = undefined;
	}

	get aborted(): boolean {
		return this.#isAborted;
	}

	get reason(): Error | null {
		return this.#isAborted ? this.#reason : null;
	}

	get paused(): boolean {
		return this.#isPaused;
	}

	get rawHeaders(): RawHeaders {
		const raw = this.#answer?.rawHeaders ?? null;
		return this.#carriesCredential && this.#answer?.kept === undefined ? markedRaw(raw) : raw;
	}

	get rawTrailers(): RawHeaders {
		return this.#rawTrailers;
	}

	abort(reason: Error): void {
		if (this.#isOver) return;
		this.#isAborted = true;
		this.failed(reason);
	}

	pause(): void {
		this.#isPaused = true;
		if (this.#answer !== undefined) this.#leg?.pause();
	}

	resume(): void {
		if (!this.#isPaused) return;
		this.#isPaused = false;
		if (this.#answer !== undefined) this.#leg?.flow(() => this.#isPaused);
	}
}
