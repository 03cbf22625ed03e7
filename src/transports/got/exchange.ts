/**
 * Sends one hop as often as its conversation wants, and lets got see the last response only: `hop/run.ts` holds the
 * conversation, `stand-in.ts` is what got has in its hands meanwhile.
 *
 * What the strategy added goes into the request, not into its options: Node keeps the options of a request with its
 * socket, which outlives it, and a socket hangs on many an error.
 */
import {once} from 'node:events';
import type {ClientRequest, Agent as HttpAgent, IncomingMessage, RequestOptions} from 'node:http';
import {setImmediate as immediate, setTimeout as pause} from 'node:timers/promises';
import {sendThroughProxy} from '../../hop/proxy-rule.ts';
import {type HopReport, reportHop, sendingsOf} from '../../hop/report.ts';
import {type HeaderRecord, type HopContext, HopRequest, type Route} from '../../hop/request.ts';
import {credentialAtHand, type LoopRule, runHop, type Transport, wantsConversation} from '../../hop/run.ts';
import type {Connection, CredentialAtHand, RuleInfo} from '../../strategy/index.ts';
import {explainTlsFailure} from '../../tls/explain.ts';
import {mostResends} from '../../tls/idle-connections.ts';
import {detachWhenDone} from '../../tls/requests-apart.ts';
import {type CookieOptions, keepCookies} from './cookies.ts';
import {EarlyLeg} from './early-leg.ts';
import {type BodyOptions, gotBodyLength, readGotBody} from './got-body.ts';
import {addChanges, type LegAnswer, sendByNode} from './leg.ts';
import {type Send, sendWhole, withTls} from './leg-options.ts';
import {journey, type Marks} from './per-origin.ts';
import {StandInRequest} from './stand-in.ts';

/** Of got's options, as far as they matter here. */
type GotOptions = BodyOptions & CookieOptions & {readonly context?: object};

const bodiless = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Send one hop by its route. Resolves with the request that got is to use. */
export function exchange(
	route: Route,
	context: HopContext,
	url: URL,
	native: RequestOptions,
	options: GotOptions,
	send: Send,
): ClientRequest | Promise<ClientRequest> {
	const {rule} = route;
	const hasBody = options.body !== undefined || !bodiless.has(native.method ?? 'GET');
	if (rule === undefined) {
		// There is nothing to hold back; and without a body, no write that could need an explanation.
		const needsNoHop = url.protocol === 'https:' ? !hasBody : route.proxyFor(url) === undefined;
		if (needsNoHop) {
			const sent = send(url, withTls(route, native, url));
			return sent instanceof Promise ? sent.then(detach) : detach(sent);
		}
	}
	const hop = new GotHop(route, context, url, native, options, send);
	void hop.deliver(hop.answer());
	return hop.opened as Promise<ClientRequest>;
}

/** What a function of the caller's gives may be no request. */
function detach(request: ClientRequest): ClientRequest {
	return typeof request?.once === 'function' ? detachWhenDone(request) : request;
}

/** The caller's function answered by itself: nobody was shown a credential. */
const answeredElsewhere = Symbol('answered elsewhere');

class GotHop implements Transport<HopRequest, LegAnswer> {
	readonly opened: Promise<unknown>;
	readonly #open: (request: unknown) => void;
	readonly #failToOpen: (reason: unknown) => void;
	readonly #route: Route;
	readonly #context: HopContext;
	readonly #url: URL;
	readonly #native: RequestOptions;
	readonly #options: GotOptions;
	/** The body, once it was read. */
	#bytes: Uint8Array | undefined;
	readonly #send: Send;
	readonly #report: HopReport | undefined;
	/** The agent for a hop that goes over plain http and has nothing special about it. */
	readonly #plainAgent: HttpAgent | undefined;
	#early: EarlyLeg | undefined;
	#standIn: StandInRequest | undefined;
	/** The answer that the conversation decides on. */
	#inHand: LegAnswer | undefined;
	#request: HopRequest | undefined;
	/** What was shown on a leg that was sent before the conversation, whose first leg it is to be. */
	#ahead: CredentialAtHand | undefined;

	constructor(
		route: Route,
		context: HopContext,
		url: URL,
		native: RequestOptions,
		options: GotOptions,
		send: Send,
	) {
		({
			promise: this.opened,
			resolve: this.#open,
			reject: this.#failToOpen,
		} = Promise.withResolvers<unknown>());
		this.#route = route;
		this.#context = context;
		this.#url = url;
		this.#native = native;
		this.#options = options;
		this.#send = send;
		const {audience} = route.events;
		const isHeard = audience['gatepass:request'].hasSubscribers || audience['gatepass:leg'].hasSubscribers;
		this.#report = isHeard ? this.#reportIt() : undefined;
		const isPlain =
			send === sendByNode && saysNothingOfConnection(native) && route.ofOrigin?.proxy === undefined;
		this.#plainAgent = isPlain ? route.ofOrigin?.plainAgent : undefined;
	}

	/** The answer that the caller is to have. */
	answer(): Promise<LegAnswer> {
		const {rule} = this.#route;
		const method = this.#native.method ?? 'GET';
		if (rule === undefined) return this.send(new HopRequest(this.#url, method, {}, this.#context));
		const {fresh, tenant, replayable} = this.#context;
		const credential = replayable ? credentialAtHand(rule, {fresh, method, tenant}) : undefined;
		return credential === undefined
			? runHop(rule, this.#makeRequest(rule.info), this)
			: this.#sendAhead(rule, credential);
	}

	/** Send the first leg before its conversation, which begins only with a refusal. */
	async #sendAhead(rule: LoopRule, credential: CredentialAtHand): Promise<LegAnswer> {
		const request = this.#makeRequest(rule.info);
		const {header, identity} = credential;
		if (header !== undefined) request.headers.set(...header);
		request.identity = identity;
		const answer = await this.send(request);
		if (!wantsConversation(answer.message.statusCode)) return answer;
		this.#ahead = credential;
		return runHop(rule, this.#makeRequest(rule.info), this);
	}

	#reportIt(): HopReport | undefined {
		const {[journey]: way} = (this.#options.context ?? {}) as Marks;
		const sendings = way === undefined ? undefined : sendingsOf(way);
		return reportHop(this.#route, this.#url, this.#native.method ?? 'GET', sendings);
	}

	/** The request as the strategy sees it. */
	#makeRequest(info: RuleInfo): HopRequest {
		const context = this.#context;
		// A function of the caller's is shown the whole request, so nothing can be made of it before.
		if (context.sender !== 'caller') {
			context.connect = (request, timeout) => this.#openEarly(request, timeout);
		}
		const headers = {...(this.#native.headers as HeaderRecord)};
		context.readBody = () => this.#readBody();
		context.bodyLength = () => gotBodyLength(this.#options, headers);
		this.#request = new HopRequest(this.#url, this.#native.method ?? 'GET', headers, context, info);
		return this.#request;
	}

	async #readBody(): Promise<Uint8Array | undefined> {
		const bytes = await readGotBody(this.#options, this.#standIn !== undefined);
		this.#bytes = bytes;
		// Its length was not known before.
		if (bytes !== undefined) this.#request?.headers.set('content-length', `${bytes.byteLength}`);
		return bytes;
	}

	/** One leg to the server; it may take several to the proxy in between. */
	send(request: HopRequest): Promise<LegAnswer> {
		const ahead = this.#ahead;
		this.#ahead = undefined;
		if (ahead !== undefined && this.#inHand !== undefined) {
			if (request.showsOnly(ahead)) return Promise.resolve(this.#inHand);
			// What is at hand now is another one by now.
			this.#inHand.discard();
		}
		// What is sent plainly goes through no proxy.
		const isDirect = this.#plainAgent !== undefined || request.proxy !== undefined;
		const through = isDirect ? undefined : this.#route.proxyRuleFor(this.#url);
		if (through === undefined) return this.#sendOnce(request);
		return sendThroughProxy(through, request, () => this.#sendOnce(request));
	}

	async #sendOnce(request: HopRequest): Promise<LegAnswer> {
		this.#standIn?.throwIfOver();
		this.#context.signal?.throwIfAborted();
		this.#report?.beginLeg();
		this.#standIn?.letGoOfFirst();
		const unwanted = this.#inHand;
		if (this.#options.cookieJar !== undefined && unwanted?.isWithheld === false) {
			await keepCookies(this.#options, unwanted.message.headers['set-cookie'], this.#url, request);
		}
		const made = this.#early?.isOpen === true ? this.#early.complete(request) : this.#makeLeg(request);
		const leg = made instanceof Promise ? await made : made;
		if (this.#standIn === undefined) this.#handOver(leg, request);
		else this.#standIn.next(leg, this.#bytes ?? this.#options.body, request.encoder);
		const answer = await this.#untilAnswered(this.#standIn as StandInRequest, request);
		this.#report?.endLeg(answer.message.statusCode ?? 0);
		// Nobody has read it to its end meanwhile, so nobody will.
		if (unwanted?.message.complete === false) unwanted.message.destroy();
		this.#inHand = answer;
		return answer;
	}

	/** Let got write the first leg. */
	#handOver(leg: ClientRequest, request: HopRequest): void {
		if (typeof leg.setHeader !== 'function') {
			this.#open(leg);
			throw answeredElsewhere;
		}
		this.#standIn = new StandInRequest(leg, {
			explain: error => explainTlsFailure(error, this.#route.trust, this.#context.shown, this.#url),
			signal: this.#context.signal,
			body: this.#bytes ?? this.#options.body,
			encoder: request.encoder,
			isReplayable: () => request.replayable && this.#early === undefined,
		});
		this.#open(this.#standIn);
	}

	/** The answer to the leg that is under way. One that has reached nobody is sent again. */
	async #untilAnswered(standIn: StandInRequest, request: HopRequest): Promise<LegAnswer> {
		for (let resends = 0; ; resends += 1) {
			try {
				return await standIn.answer();
			} catch (error) {
				if (resends === mostResends || !standIn.reachedNobody(error as Error)) throw error;
				this.#report?.beginLeg(error);
				const leg = await this.#makeLeg(request);
				standIn.next(leg, this.#bytes ?? this.#options.body, request.encoder);
			}
		}
	}

	/** Let got have what comes of the hop. */
	async deliver(outcome: Promise<LegAnswer>): Promise<void> {
		try {
			const answer = await outcome;
			this.#report?.end(answer.message.statusCode, this.#request);
			this.#standIn?.deliver(answer);
		} catch (error) {
			this.#early?.abandon();
			this.#inHand?.message.destroy();
			if (error === answeredElsewhere) {
				this.#report?.end(((await this.opened) as {statusCode?: number}).statusCode);
				return;
			}
			this.#report?.end(undefined, this.#request, error);
			if (this.#standIn === undefined) this.#failToOpen(error);
			else this.#standIn.fail(error as Error);
		}
	}

	#openEarly(request: HopRequest, timeout: number): Promise<Connection | undefined> {
		if (this.#early === undefined) {
			this.#early = new EarlyLeg(wanted => this.#makeLeg(wanted));
			this.#early.beforeOpen = () => drain(this.#inHand?.message);
		}
		return this.#early.open(request, timeout);
	}

	#makeLeg(request: HopRequest): ClientRequest | Promise<ClientRequest> {
		const native = this.#native;
		this.#context.shown = request.identity;
		if (
			this.#plainAgent !== undefined &&
			request.proxy === undefined &&
			request.connectionOwner === undefined
		) {
			return detach(addChanges(sendByNode(this.#url, native, this.#plainAgent), request));
		}
		// For the proxy that this very request asks; one that makes tunnels is shown it there.
		const proxy = this.#url.protocol === 'http:' ? this.#route.proxyFor(this.#url) : undefined;
		if (proxy?.authorization !== undefined && request.proxy === undefined) {
			request.headers.set('proxy-authorization', proxy.authorization);
		}
		const options = withTls(this.#route, native, this.#url, request);
		// With `Expect`, Node writes the head as soon as the request is made.
		const expects = native.headers !== undefined && 'expect' in native.headers;
		const needsWhole = this.#context.sender === 'caller' || native.headers === undefined || expects;
		if (!needsWhole) return this.#finish(this.#send(this.#url, options), request);
		return sendWhole(request, this.#context, this.#url, options, this.#send).then(detach);
	}

	#finish(
		leg: ClientRequest | Promise<ClientRequest>,
		request: HopRequest,
	): ClientRequest | Promise<ClientRequest> {
		if (leg instanceof Promise) return leg.then(made => detach(addChanges(made, request)));
		return detach(addChanges(leg, request));
	}
}

/** Whether the caller leaves it to gatepass how the server is reached, and when the head is written. */
function saysNothingOfConnection(native: RequestOptions): boolean {
	const {agent, createConnection, socketPath, lookup, headers} = native;
	if (agent !== undefined || createConnection !== undefined || socketPath != null || lookup !== undefined)
		return false;
	return headers !== undefined && !('expect' in headers);
}

/** Milliseconds to read an unwanted response to its end. */
const longestDrain = 1000;

/**
 * The conversation wants a connection for the next leg: read the response in hand to its end, so that its own can be
 * taken. One that takes long is left to itself.
 */
async function drain(message: IncomingMessage | undefined): Promise<void> {
	if (message === undefined || message.closed) return;
	message.on('error', () => {});
	message.resume();
	await Promise.race([once(message, 'close').catch(() => {}), pause(longestDrain, undefined, {ref: false})]);
	// Node puts the socket back into the pool in the next round.
	await immediate();
}
