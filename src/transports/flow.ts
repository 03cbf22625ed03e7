/**
 * A conversation for requests that any other client sends: it is told each answer, and says what the next leg has, or
 * that the answer is the one that counts.
 */
import {StrategyError} from '../errors.ts';
import {type HopReport, reportHop} from '../hop/report.ts';
import {type HopContext, HopRequest, type Route} from '../hop/request.ts';
import {type Leg, runHop, type Transport} from '../hop/run.ts';
import type {AuthResponse} from '../strategy/index.ts';
import {bytesOf} from './body-bytes.ts';
import {canBeSentAgain, isIterable} from './reopenable-body.ts';
import type {GatepassContext} from './request-setting.ts';
import {type TlsMaterial, tlsMaterialFor} from './tls-material.ts';
import {untilAborted} from './until-aborted.ts';

/** What a request that another client sends is to have. It is meant for this very URL and no other. */
export interface FlowLeg {
	/** Where to send it: the URL with what a rule adds to its query. May hold a secret. */
	readonly url: string;
	/** By lower-case name; they take the place of the caller's. May hold a secret. */
	readonly headers: Record<string, string>;
	/**
	 * Options to spread into `https.request`, or to make an agent of, after any of one's own: the client certificate, and
	 * all that verifies the server. For https, where there is a rule or a trust store. May hold a secret.
	 */
	readonly tls?: TlsMaterial;
}

/** An answer of any client: fetch's, axios's, Node's `IncomingMessage`, ws's. */
export interface FlowResponse {
	/** Or `statusCode`. */
	readonly status?: number | undefined;
	/** Or `status`. */
	readonly statusCode?: number | undefined;
	/** By name, or as an iterable of names and values, such as fetch's `Headers`. */
	readonly headers: object;
	/**
	 * For a strategy that {@link (AuthStrategy:interface).requiresResponseBody}: bytes or text. The `Response` of a `fetch`
	 * is read as a copy.
	 */
	readonly body?: unknown;
}

/** One conversation. Its own properties are what the first leg is to have. */
export interface Flow extends FlowLeg, AsyncDisposable {
	/**
	 * Tell the answer to the last leg.
	 *
	 * @returns what the next leg is to have; `undefined` where the answer is the one that counts.
	 * @throws {GatepassError} what the strategy throws, for example where a server does not prove who it is.
	 */
	next(response: FlowResponse): Promise<FlowLeg | undefined>;
	/**
	 * The only headers of the answer that counts which may be believed, where the server has not proven who it is: leave
	 * its body and all other headers alone. `undefined`: all of it.
	 */
	readonly withheld: readonly string[] | undefined;
	/** End the conversation where it stands: always, where `next` has not given `undefined` or thrown. */
	end(): Promise<void>;
}

/** What `flow` takes besides the URL. */
export interface FlowOptions {
	/** Default: `GET`. */
	readonly method?: string;
	/**
	 * What will be sent: a stream cannot be sent twice, and so not refused and tried again; nor can it be signed, for
	 * which its bytes are needed beforehand.
	 */
	readonly body?: unknown;
	/** The headers that will be sent, for a strategy that signs them; those of a leg then hold them, too. */
	readonly headers?: Readonly<Record<string, string>>;
	/** Ends the conversation, and what it waits for. */
	readonly signal?: AbortSignal;
	/** As for gatepass's other clients: without authentication, past the token cache, or as which tenant. */
	readonly gatepass?: GatepassContext;
}

/** What a conversation is about besides its URL and method. */
export interface ConversationOptions extends Pick<FlowOptions, 'body' | 'headers' | 'signal'> {
	/** Pass the token cache over, once. */
	readonly fresh?: boolean | undefined;
	/** Whose tokens to use. Default: the rule's `tenant`. */
	readonly tenant?: string | undefined;
	/** Hears of each status where no rule matches. */
	readonly tellUnmatched?: ((status: number) => void) | undefined;
}

interface ToldAnswer extends Leg {
	readonly status: number;
}

/** Begin a conversation for one hop. Resolves when its first leg can be sent. */
export async function beginFlow(
	route: Route | undefined,
	url: URL,
	method: string,
	{body, headers = {}, signal, fresh = false, tenant, tellUnmatched}: ConversationOptions,
): Promise<Flow> {
	const replayable = body === undefined || body === null || body instanceof Blob || canBeSentAgain(body);
	const report = route && reportHop(route, url, method);
	const readBody = () => bytesAtHand(body);
	const context = {fresh, tenant, replayable, signal, report, readBody};
	const conversation = new FlowConversation(route, url, method, headers, {...context, tellUnmatched});
	const first = await conversation.begin();
	return {
		...first,
		next: response => conversation.next(response),
		get withheld() {
			return conversation.withheld;
		},
		end: () => conversation.end(),
		[Symbol.asyncDispose]: () => conversation.end(),
	};
}

/** What the first leg of a hop is to have, where nobody tells of its answer. */
export async function prepareLeg(
	route: Route | undefined,
	url: URL,
	method: string,
	{body, headers = {}, fresh = false, tenant}: ConversationOptions,
): Promise<FlowLeg> {
	const context = {fresh, tenant, replayable: true, readBody: () => bytesAtHand(body)};
	const conversation = new FlowConversation(route, url, method, headers, context);
	const first = await conversation.begin();
	await conversation.end(enough);
	return first;
}

/** Why such a conversation ends. Nobody sees it; an error of its own each time would cost a fifth of the whole. */
const enough = new Error('The first leg was all that was wanted');

class FlowConversation implements Transport<HopRequest, ToldAnswer> {
	readonly #route: Route | undefined;
	readonly #request: HopRequest;
	readonly #report: HopReport | undefined;
	readonly #tellUnmatched: ConversationOptions['tellUnmatched'];
	readonly #signal: AbortSignal | undefined;
	/** Settles when the conversation wants a leg sent, or is over. */
	#wanted = Promise.withResolvers<FlowLeg | undefined>();
	/** The answer that the conversation waits for. */
	#told: PromiseWithResolvers<ToldAnswer> | undefined;
	#run: Promise<unknown> | undefined;
	/** Nothing more is to be sent. */
	#ended: {readonly reason: unknown} | undefined;
	#failed: {readonly reason: unknown} | undefined;
	withheld: readonly string[] | undefined;

	constructor(
		route: Route | undefined,
		url: URL,
		method: string,
		headers: Readonly<Record<string, string>>,
		{
			report,
			tellUnmatched,
			...context
		}: HopContext & {readonly report?: HopReport | undefined} & Pick<ConversationOptions, 'tellUnmatched'>,
	) {
		this.#tellUnmatched = tellUnmatched;
		this.#route = route;
		this.#signal = context.signal;
		this.#request = new HopRequest(url, method, {...headers}, context, route?.rule?.info);
		this.#report = report;
	}

	async begin(): Promise<FlowLeg> {
		this.#signal?.throwIfAborted();
		const rule = this.#route?.rule;
		if (rule === undefined) return this.#describe(this.#request);
		// Between two legs nobody waits, and nobody may come back.
		const abort = (): void => void this.end(this.#signal?.reason);
		this.#signal?.addEventListener('abort', abort, {once: true});
		this.#run = runHop(rule, this.#request, this)
			.then(
				answer => {
					this.#report?.end(answer.status, this.#request);
					this.#wanted.resolve(undefined);
				},
				error => {
					this.#failed = {reason: error};
					this.#report?.end(undefined, this.#request, error);
					this.#wanted.reject(error);
				},
			)
			.finally(() => this.#signal?.removeEventListener('abort', abort));
		return (await this.#untilWanted()) as FlowLeg;
	}

	async next(response: FlowResponse): Promise<FlowLeg | undefined> {
		const told = this.#told;
		// What comes after a failure must not pass for an answer that was accepted.
		if (this.#failed !== undefined) throw this.#failed.reason;
		// Without a rule, or once the conversation is over, any answer counts.
		if (this.#route?.rule === undefined) this.#tellUnmatched?.(statusOf(response));
		if (told === undefined) return undefined;
		const answer = readAnswer(response);
		this.#told = undefined;
		this.withheld = undefined;
		this.#wanted = Promise.withResolvers();
		this.#report?.endLeg(answer.status);
		const withhold = (keepHeaders: readonly string[]): void => {
			this.withheld = keepHeaders;
		};
		const readBody = (most: number) => bytesGiven(response, most);
		told.resolve({status: answer.status, response: {...answer, withhold}, readBody, discard() {}});
		return this.#untilWanted();
	}

	async end(
		reason: unknown = new StrategyError({code: 'closed', what: 'The flow was ended by its user', hint: ''}),
	): Promise<void> {
		this.#ended ??= {reason};
		this.#told?.reject(reason);
		this.#told = undefined;
		this.#wanted.promise.catch(() => {});
		await this.#run;
	}

	send(request: HopRequest): Promise<ToldAnswer> {
		if (this.#ended !== undefined) return Promise.reject(this.#ended.reason);
		this.#report?.beginLeg();
		// This may fail, such as for a trust store that cannot be read: then nobody waits for an answer.
		const leg = this.#describe(request);
		this.#told = Promise.withResolvers();
		this.#wanted.resolve(leg);
		return this.#told.promise;
	}

	async #untilWanted(): Promise<FlowLeg | undefined> {
		try {
			return await untilAborted(() => this.#wanted.promise, this.#signal);
		} catch (error) {
			this.end(error).catch(() => {});
			throw error;
		}
	}

	#describe({target, headers, identity}: HopRequest): FlowLeg {
		const tls = tlsMaterialFor(this.#route, target, identity);
		return {
			url: target.href,
			headers: {...(headers.record as Record<string, string>)},
			...(tls !== undefined && {tls}),
		};
	}
}

function statusOf(response: FlowResponse): number {
	const {status, statusCode} = Object(response) as FlowResponse;
	return (status ?? statusCode) as number;
}

/** @throws {TypeError} for what is no answer. */
function readAnswer(response: FlowResponse): Omit<AuthResponse, 'withhold'> {
	const {headers} = Object(response) as FlowResponse;
	const code = statusOf(response);
	if (typeof code !== 'number' || typeof headers !== 'object' || headers === null) {
		throw new TypeError('This is no answer. Give an object with `status` or `statusCode`, and `headers`');
	}
	const lowerCase: Record<string, string | string[]> = {};
	for (const [name, value] of entriesOf(headers)) {
		if (value === undefined || value === null || typeof value === 'function') continue;
		const key = name.toLowerCase();
		const known = lowerCase[key];
		const values = Array.isArray(value) ? value.map(String) : String(value);
		lowerCase[key] = known === undefined ? values : [known, values].flat();
	}
	return {status: code, headers: lowerCase, body: undefined};
}

/** The body, where it was given: as bytes or text, or in a `Response` of `fetch`, which its user can still read. */
async function bytesGiven(response: FlowResponse, most: number): Promise<Uint8Array | undefined> {
	const {body, bodyUsed, clone} = response as FlowResponse & Partial<Response>;
	if (typeof clone === 'function' && bodyUsed === false) {
		return bytesUpTo((clone.call(response) as Response).body, most);
	}
	const isGiven = typeof body === 'string' || body instanceof ArrayBuffer || ArrayBuffer.isView(body);
	const bytes = isGiven ? await bytesOf(body) : undefined;
	return bytes !== undefined && bytes.byteLength <= most ? bytes : undefined;
}

async function bytesUpTo(
	body: ReadableStream<Uint8Array> | null,
	most: number,
): Promise<Uint8Array | undefined> {
	const reader = body?.getReader();
	const chunks: Uint8Array[] = [];
	let length = 0;
	try {
		while (length <= most) {
			const {value, done} = (await reader?.read()) ?? {done: true};
			if (done) return Buffer.concat(chunks, length);
			chunks.push(value);
			length += value.byteLength;
		}
	} catch {
		// It broke off: whoever reads the other copy is told.
	}
	// Not waited for: it ends when that copy is read, too.
	reader?.cancel().catch(() => {});
	return undefined;
}

function entriesOf(headers: object): Iterable<[string, unknown]> {
	return Symbol.iterator in headers ? (headers as Iterable<[string, unknown]>) : Object.entries(headers);
}

/**
 * The bytes of a body that somebody else sends.
 *
 * @throws {StrategyError} where reading it would leave nothing to send.
 */
async function bytesAtHand(body: unknown): Promise<Uint8Array | undefined> {
	const isUsedUp = typeof body === 'object' && body !== null && isIterable(body) && !canBeSentAgain(body);
	if (!isUsedUp || body instanceof URLSearchParams) return bytesOf(body);
	throw new StrategyError({
		code: 'body-not-available',
		what: 'The strategy of this rule needs the bytes of the body before they are sent, and this body can be read once only',
		hint: 'Give it as text or as bytes',
	});
}
