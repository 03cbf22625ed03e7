/** HTTP for the strategies' own requests, such as those to token endpoints. The semantics stand at `HttpClient`. */
import type {Agent as HttpAgent} from 'node:http';
import type {Got, Method, RequestError} from 'got';
import {isLoopback} from '../strategy/hosts.ts';
import type {HttpClient, Identity} from '../strategy/services.ts';
import type {TlsAgents} from '../tls/agents.ts';
import type {ProxyServer, WayOut} from '../tls/way-out.ts';
import {Ways} from '../tls/ways.ts';
import {PauseWatch} from '../tokens/steady-clock.ts';
import type {TrustLookup} from '../trust/no-trust-stores.ts';
import type {TrustStore} from '../trust/trust-store.ts';
import {bareFailure} from './bare-failure.ts';
import {sendBelow} from './below-got.ts';
import {largestBody, tooLarge, unpack} from './unpack.ts';

export interface HttpClientSettings {
	/** Milliseconds for a request with all its retries. Each try has half of that, where there are retries. */
	readonly timeout: number;
	readonly retries: number;
}

/** The server is there but cannot answer now: worth another try. Others mean what they say. */
const passingStatuses = [502, 503, 504];

/** How an origin is reached. */
interface WayThere {
	readonly trust: TrustStore | undefined;
	readonly way: WayOut | undefined;
	/** Of plain http. */
	readonly proxy: ProxyServer | undefined;
	readonly plainAgent: HttpAgent | undefined;
}

/** So many origins are known at once. */
const mostOrigins = 1000;

export class GotHttpClient implements HttpClient {
	readonly #got: () => Promise<Got>;
	readonly #trust: TrustLookup;
	readonly #agents: TlsAgents;
	readonly #ways: Ways;
	readonly #settings: HttpClientSettings;
	#loaded: Got | undefined;
	/** By origin, where its paths make no difference. */
	readonly #known = new Map<string, WayThere>();

	constructor(
		got: () => Promise<Got>,
		trust: TrustLookup,
		agents: TlsAgents,
		settings: HttpClientSettings,
		ways = Ways.direct(),
	) {
		this.#got = got;
		this.#trust = trust;
		this.#agents = agents;
		this.#ways = ways;
		this.#settings = settings;
	}

	/** Once more where it failed while this process stood still: its time limit was over when it went on. */
	async fetch(input: string | URL, init: RequestInit & {identity?: Identity} = {}): Promise<Response> {
		const watch = new PauseWatch();
		try {
			return await this.#fetch(input, init);
		} catch (error) {
			if (!watch.hasPaused() || init.signal?.aborted) throw error;
			return await this.#fetch(input, init);
		} finally {
			watch.stop();
		}
	}

	#wayTo(url: URL): WayThere {
		const known = this.#known.get(url.origin);
		if (known !== undefined) return known;
		const isPlain = url.protocol === 'http:';
		// A token endpoint over plain http is on this machine, or was allowed: then there is no need for a proxy, either.
		const way = isPlain && isLoopback(url.hostname) ? undefined : this.#ways.for();
		const found: WayThere = {
			trust: this.#trust.find(url),
			way,
			proxy: isPlain ? way?.proxyFor(url) : undefined,
			plainAgent: isPlain ? this.#ways.plainAgentFor(url, way) : undefined,
		};
		if (this.#known.size === mostOrigins) this.#known.clear();
		if (this.#trust.findForAll(url) !== undefined) this.#known.set(url.origin, found);
		return found;
	}

	async #fetch(input: string | URL, init: RequestInit & {identity?: Identity}): Promise<Response> {
		const url = new URL(input);
		const {timeout, retries} = this.#settings;
		this.#loaded ??= await this.#got();
		const got = this.#loaded;
		const {trust, way, proxy, plainAgent} = this.#wayTo(url);
		const limit = new AbortController();
		const signals = [AbortSignal.timeout(timeout), limit.signal, ...(init.signal ? [init.signal] : [])];
		const request = got(url, {
			method: (init.method ?? 'GET') as Method,
			request: sendBelow(headersOf(init.headers), bodyText(init.body), proxy),
			// Never Node's own, whose options overrule those of a request.
			agent:
				plainAgent === undefined
					? {https: this.#agents.for(init.identity, trust, {way})}
					: {http: plainAgent},
			// Said aloud, since the environment could switch it off.
			https: {rejectUnauthorized: true},
			followRedirect: false,
			throwHttpErrors: false,
			responseType: 'buffer',
			// A small answer could unfold to any size: `unpack` has a limit.
			decompress: false,
			// For each try, so that there is time for another where one gets no answer, as over a connection that is dead.
			timeout: {request: retries === 0 ? timeout : timeout / 2},
			signal: AbortSignal.any(signals),
			retry: {
				limit: retries,
				methods: ['GET', 'POST'],
				statusCodes: passingStatuses,
				// Short pauses: all tries share one time limit. A server that names a time is not pressed.
				calculateDelay: ({attemptCount, computedValue, retryAfter}) =>
					computedValue === 0 || retryAfter !== undefined ? 0 : 100 * 2 ** (attemptCount - 1),
			},
		});
		request.on('downloadProgress', ({transferred}) => {
			if (transferred > largestBody) limit.abort(tooLarge());
		});
		try {
			const {statusCode, headers, rawBody} = await request;
			// The highest that there is (RFC 9110 section 15), and the highest that a Response takes.
			if (statusCode < 200 || statusCode > 599)
				throw new Error(`it answered with the status ${statusCode}, which there is not`);
			const hasBody = ![204, 205, 304].includes(statusCode);
			const body = hasBody
				? headers['content-encoding'] === undefined
					? rawBody
					: unpack(rawBody, headers)
				: null;
			return new Response(body === null ? null : new Uint8Array(body), {
				status: statusCode,
				headers: toHeaders(headers),
			});
		} catch (error) {
			throw bareFailure(error as RequestError, url);
		}
	}
}

/** In a plain object, names stay as they are written: some servers know them by that alone (XRootD: `Content-Type`). */
function headersOf(headers: RequestInit['headers']): Record<string, string> {
	const checked = new Headers(headers);
	const isPlain = headers !== undefined && !(Symbol.iterator in headers);
	const written = isPlain ? headers : Object.fromEntries(checked);
	return {...(!checked.has('accept-encoding') && {'accept-encoding': 'identity'}), ...written};
}

function bodyText(body: RequestInit['body']): string | undefined {
	if (body === undefined || body === null) return undefined;
	if (typeof body === 'string' || body instanceof URLSearchParams) return String(body);
	throw new TypeError('HttpClient sends strings and URLSearchParams');
}

function toHeaders(headers: Record<string, string | string[] | undefined>): Headers {
	const result = new Headers();
	for (const [name, value] of Object.entries(headers)) {
		if (name.startsWith(':') || value === undefined) continue;
		for (const single of [value].flat()) result.append(name, single);
	}
	return result;
}
