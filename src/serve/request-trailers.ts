/**
 * Sends a request whose trailers are announced (RFC 9110 section 6.6.2) by Node's own client: undici's has none. Its
 * body is sent as it comes, once, so that a server which wants a credential first has its 401 handed back.
 */
import type {ClientRequest, IncomingMessage} from 'node:http';
import {request as requestHttps} from 'node:https';
import type {LookupFunction} from 'node:net';
import {connect as connectTls, TLSSocket} from 'node:tls';
import type {Dispatcher} from 'undici';
import {requestHttp} from '../tls/node-http.ts';
import {loadUndici} from '../transports/undici/load.ts';
import {addressIn, type Generation, portOf} from './generation.ts';
import {type FlatHeaders, requestHeaders} from './headers.ts';

type Flow = Awaited<ReturnType<Generation['gatepass']['flow']>>;

/** What would say something else in a trailer than in a header (RFC 9110 section 6.5.1). */
const neverTrailers =
	/^(?:authorization|proxy-.*|cookie|set-cookie|content-(?:length|encoding|type|range)|trailer|host|cache-control|expect|max-forwards|pragma|range|te)$/i;

/** Milliseconds, as undici has them for all other requests. */
export interface TimeLimits {
	readonly connection: number;
	/** From the last that was sent to the head of the answer. */
	readonly answer: number;
}

const usualLimits: TimeLimits = {connection: 10_000, answer: 300_000};

/** Where and how such a request is sent. */
export interface TrailedRequest {
	readonly generation: Generation;
	readonly url: URL;
	/** Path and query, to the byte. */
	readonly path: string;
	readonly headers: FlatHeaders;
	/** Default: the system's. */
	readonly lookup?: LookupFunction | undefined;
	readonly limits?: TimeLimits;
}

/** Whether a request has trailers to come, and they can be sent on. */
export function hasTrailers(request: IncomingMessage, url: URL, generation: Generation): boolean {
	const {headers, readableDidRead} = request;
	if (headers.trailer === undefined || headers['transfer-encoding'] === undefined) return false;
	// They were for the server that has redirected it.
	if (readableDidRead) return false;
	// A proxy on the way out is asked by undici's client.
	return url.protocol === 'https:' || generation.proxyFor(url) === undefined;
}

/** Send it. The handler hears of its answer as undici would tell it. */
export async function sendWithTrailers(
	request: IncomingMessage,
	trailed: TrailedRequest,
	handler: Dispatcher.DispatchHandler,
): Promise<void> {
	const controller = new NodeController();
	try {
		handler.onRequestStart?.(controller, null);
		const {gatepass} = trailed.generation;
		const whole = new URL(trailed.path, trailed.url.origin);
		const flow = await gatepass.flow(whole, {
			method: request.method as string,
			headers: toRecord(trailed.headers),
			body: request,
			signal: controller.signal,
		});
		const path = flow.url === whole.href ? trailed.path : pathOf(new URL(flow.url));
		const sent = await open(trailed, request.method, path, flow, controller.signal);
		controller.request = sent;
		limitTime(sent, request, trailed.limits ?? usualLimits);
		const answered = new Promise<IncomingMessage>((resolve, reject) => {
			sent.once('response', message => {
				controller.watch(message);
				resolve(message);
			});
			sent.on('error', reject);
			request.once('error', error => sent.destroy(error));
		});
		request.pipe(sent, {end: false});
		request.once('end', () => {
			for (const [name, value] of trailersOf(request)) sent.addTrailers([[name, value]]);
			sent.end();
		});
		const response = await answered;
		await flow.next({status: response.statusCode ?? 0, headers: response.headers});
		await flow.end();
		if (controller.failure !== undefined) throw controller.failure;
		deliver(response, controller, handler, flow.withheld);
	} catch (error) {
		controller.request?.destroy();
		handler.onResponseError?.(controller, controller.reason ?? (error as Error));
	}
}

function deliver(
	response: IncomingMessage,
	controller: NodeController,
	handler: Dispatcher.DispatchHandler,
	withheld: readonly string[] | undefined,
): void {
	const {statusCode = 0, statusMessage, rawHeaders, headers} = response;
	const isKept = (name: string): boolean => withheld === undefined || withheld.includes(name.toLowerCase());
	controller.rawHeaders = rawHeaders.filter((_text, index) =>
		isKept(rawHeaders[index & ~1] as string),
	) as never;
	response.on('error', error => handler.onResponseError?.(controller, controller.reason ?? error));
	handler.onResponseStart?.(controller, statusCode, headers, statusMessage);
	if (withheld !== undefined) response.resume();
	else response.on('data', chunk => handler.onResponseData?.(controller, chunk as Buffer));
	response.once('end', () => handler.onResponseEnd?.(controller, response.trailers));
}

async function open(
	{generation, url, lookup}: TrailedRequest,
	method: string | undefined,
	path: string,
	{headers, tls}: Flow,
	signal: AbortSignal,
): Promise<ClientRequest> {
	const isPlain = url.protocol === 'http:';
	const tunnel = isPlain ? undefined : await generation.openTunnel(url.hostname, portOf(url));
	// Nobody else would close the tunnel of a client that went away meanwhile.
	if (signal.aborted) {
		tunnel?.destroy();
		throw signal.reason;
	}
	const host = addressIn(url.hostname) ?? url.hostname;
	const settings = {
		host,
		port: portOf(url),
		method,
		path,
		headers: {...headers, host: url.host},
		agent: false as const,
		...(lookup !== undefined && {lookup}),
	};
	if (isPlain) return requestHttp(settings);
	const servername = addressIn(url.hostname) === undefined ? host : '';
	const secure = {...tls, servername, rejectUnauthorized: true, ALPNProtocols: ['http/1.1']};
	return requestHttps({
		...settings,
		...secure,
		...(tunnel !== undefined && {
			createConnection: () => connectTls({...secure, host, socket: tunnel} as never),
		}),
	} as never);
}

/** Break it off where there is no connection, or no answer to all that was sent. */
function limitTime(sent: ClientRequest, body: IncomingMessage, {connection, answer}: TimeLimits): void {
	const {ConnectTimeoutError, HeadersTimeoutError} = loadUndici().errors;
	let timer = setTimeout(() => sent.destroy(new ConnectTimeoutError('No connection in time')), connection);
	const waitForAnswer = (): void => {
		clearTimeout(timer);
		if (!sent.destroyed) timer = setTimeout(() => sent.destroy(new HeadersTimeoutError()), answer);
	};
	sent.once('socket', socket => {
		socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', waitForAnswer);
	});
	body.on('data', () => timer.refresh());
	for (const end of ['response', 'close']) sent.once(end, () => clearTimeout(timer));
}

class NodeController implements Dispatcher.DispatchController {
	readonly #abort = new AbortController();
	request: ClientRequest | undefined;
	response: IncomingMessage | undefined;
	rawHeaders: string[] = [];
	rawTrailers: string[] = [];
	/** By which the answer broke off, also before anybody was told of it. */
	failure: Error | undefined;

	watch(response: IncomingMessage): void {
		this.response = response;
		response.once('error', error => {
			this.failure = error;
		});
	}

	get signal(): AbortSignal {
		return this.#abort.signal;
	}

	get aborted(): boolean {
		return this.#abort.signal.aborted;
	}

	get reason(): Error | null {
		return (this.#abort.signal.reason as Error | undefined) ?? null;
	}

	get paused(): boolean {
		return this.response?.isPaused() ?? false;
	}

	abort(reason: Error): void {
		this.#abort.abort(reason);
		this.request?.destroy(reason);
	}

	pause(): void {
		this.response?.pause();
	}

	resume(): void {
		this.response?.resume();
	}
}

function toRecord(flat: FlatHeaders): Record<string, string> {
	const record: Record<string, string> = {};
	for (let index = 0; index < flat.length; index += 2) {
		const name = (flat[index] as string).toLowerCase();
		const known = record[name];
		const separator = name === 'cookie' ? '; ' : ', ';
		const value = flat[index + 1] as string;
		record[name] = known === undefined ? value : `${known}${separator}${value}`;
	}
	return {...record, 'transfer-encoding': 'chunked'};
}

function* trailersOf({rawTrailers}: IncomingMessage): Generator<[string, string]> {
	const kept = requestHeaders(rawTrailers, []);
	for (let index = 0; index < kept.length; index += 2) {
		const name = kept[index] as string;
		if (!neverTrailers.test(name)) yield [name, kept[index + 1] as string];
	}
}

function pathOf({pathname, search}: URL): string {
	return pathname + search;
}
