/**
 * Watches what a request really sends, hop by hop: which rule, which strategy, which kind of credential, what came
 * back. It looks at the requests as Node makes them, below gatepass, so it tells what was done and not what was
 * planned. Of a credential only its kind is kept.
 */
import type {X509Certificate} from 'node:crypto';
import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import {type ClientRequest, type IncomingMessage, request as requestHttp, STATUS_CODES} from 'node:http';
import {type RequestOptions, request as requestHttps} from 'node:https';
import type {Socket} from 'node:net';
import {TLSSocket} from 'node:tls';
import type {BeforeRequestHook, RequestFunction} from 'got';
import type {Gatepass} from '../gatepass.ts';
import {CertificateNotShown} from '../tls/not-shown.ts';
import {rfc2253Subject, subjectValues} from '../x509/names.ts';
import {type Phase, RequestTiming} from './request-timing.ts';
import {withoutSecrets} from './settings.ts';

/** One sending of a hop's request. */
export interface TracedLeg {
	/** What gatepass added, by kind: `bearer token`, `client certificate CN=alice`. Empty: the request as it was. */
	readonly credentials: readonly string[];
	/** Absent where no answer came. */
	readonly status?: number;
	/** The code of the error, where no answer came. */
	readonly failure?: string;
	/** Where its time went; known after {@link Trace.settle}. */
	phases: readonly Phase[];
}

/** A request that a strategy made for itself, such as one for a token. */
export interface TracedStrategyRequest {
	readonly method: string;
	readonly url: string;
	readonly status?: number;
	readonly failure?: string;
	/** Where its time went; known after {@link Trace.settle}. */
	phases: readonly Phase[];
}

export interface TracedHop {
	readonly method: string;
	/** Without user information and query. */
	readonly url: string;
	/** Absent: no rule matches. */
	readonly rule?: {readonly match: string; readonly strategy: string; readonly source: string};
	readonly legs: TracedLeg[];
	readonly strategyRequests: TracedStrategyRequest[];
}

/** Told of each thing when it happens. */
export interface TraceListener {
	hop(hop: TracedHop, number: number): void;
	leg(leg: TracedLeg): void;
	strategyRequest(request: TracedStrategyRequest): void;
}

/** What the request of a hop was before its strategy touched it. Holds secrets of the caller's. */
interface Before {
	readonly url: URL;
	readonly headers: Readonly<Record<string, unknown>>;
}

export class Trace {
	readonly hops: TracedHop[] = [];
	readonly #gatepass: Gatepass;
	readonly #listener: TraceListener;
	readonly #legs = new WeakMap<ClientRequest, readonly string[]>();
	readonly #urls = new WeakMap<ClientRequest, string>();
	readonly #certificates = new WeakMap<ClientRequest, ShownCertificate>();
	/** What the strategy did before it sent. */
	readonly #prepared = new WeakMap<ClientRequest, Phase>();
	readonly #timing = new RequestTiming();
	readonly #sent: {readonly request: ClientRequest; readonly told: {phases: readonly Phase[]}}[] = [];
	#before: Before | undefined;

	constructor(gatepass: Gatepass, listener: TraceListener) {
		this.#gatepass = gatepass;
		this.#listener = listener;
	}

	/** To be merged into the options of the request that is watched. */
	get gotOptions(): {request: RequestFunction; hooks: {beforeRequest: BeforeRequestHook[]}} {
		return {request: this.#send as RequestFunction, hooks: {beforeRequest: [this.#beginHop]}};
	}

	start(): void {
		this.#timing.start();
		subscribe('http.client.request.created', this.#onCreated);
		subscribe('http.client.response.finish', this.#onResponse);
		subscribe('http.client.request.error', this.#onError);
	}

	stop(): void {
		unsubscribe('http.client.request.created', this.#onCreated);
		unsubscribe('http.client.response.finish', this.#onResponse);
		unsubscribe('http.client.request.error', this.#onError);
		this.#timing.stop();
	}

	/** To be called when the answer is there to its end: notes down where the time went. */
	async settle(): Promise<void> {
		await this.#timing.settle();
		for (const {request, told} of this.#sent)
			told.phases = [...told.phases, ...this.#timing.phasesOf(request)];
		this.#sent.length = 0;
	}

	readonly #beginHop: BeforeRequestHook = ({url, method, headers}) => {
		if (!(url instanceof URL)) return;
		this.#before = {url: new URL(url), headers: {...headers}};
		const {rule} = this.#gatepass.explain(url, {method});
		const hop = {method, url: withoutSecrets(url), ...(rule && {rule}), legs: [], strategyRequests: []};
		this.hops.push(hop);
		this.#timing.beginHop(rule !== undefined);
		this.#listener.hop(hop, this.hops.length);
	};

	/** Stands below gatepass: it is called with what the strategy has added. */
	readonly #send = (url: URL, options: RequestOptions, callback?: () => void): ClientRequest => {
		const send = url.protocol === 'https:' ? requestHttps : requestHttp;
		const prepared = this.#timing.beginLeg();
		const request = send(url, options, callback);
		if (prepared !== undefined) this.#prepared.set(request, prepared);
		this.#legs.set(request, this.#before === undefined ? [] : kindsOf(this.#before, url, options));
		request.once('socket', socket => this.#certificates.set(request, new ShownCertificate(socket)));
		return request;
	};

	/** Where a request goes is read at once: when it ends, its headers may be gone. */
	readonly #onCreated = (message: unknown): void => {
		const {request} = message as {request: ClientRequest};
		const {protocol, host, path} = request;
		const url = new URL(`${protocol}//${request.getHeader('host') ?? host}${path}`);
		this.#urls.set(request, withoutSecrets(url));
	};

	readonly #onResponse = (message: unknown): void => {
		const {request, response} = message as {request: ClientRequest; response: IncomingMessage};
		this.#end(request, response.statusCode === undefined ? {} : {status: response.statusCode});
	};

	readonly #onError = (message: unknown): void => {
		const {request, error} = message as {request: ClientRequest; error: NodeJS.ErrnoException};
		this.#end(request, {failure: error.code ?? error.name}, error);
	};

	#end(request: ClientRequest, outcome: {status?: number; failure?: string}, error?: Error): void {
		const hop = this.hops.at(-1);
		if (hop === undefined) return;
		const kinds = this.#legs.get(request);
		if (kinds === undefined) {
			const own = {method: request.method, url: this.#urls.get(request) ?? '', ...outcome, phases: []};
			this.#sent.push({request, told: own});
			hop.strategyRequests.push(own);
			this.#listener.strategyRequest(own);
			return;
		}
		this.#legs.delete(request);
		const shown = this.#certificates.get(request)?.describe(error) ?? [];
		const prepared = this.#prepared.get(request);
		const leg = {
			credentials: [...shown, ...kinds],
			...outcome,
			phases: prepared === undefined ? [] : [prepared],
		};
		this.#sent.push({request, told: leg});
		this.#timing.endLeg();
		hop.legs.push(leg);
		this.#listener.leg(leg);
	}
}

/** `200 OK`. The server's own words are left out: they may hold anything. */
export function describeOutcome({status, failure}: {status?: number; failure?: string}): string {
	if (status === undefined) return `no answer (${failure ?? 'unknown'})`;
	return `${status} ${STATUS_CODES[status] ?? ''}`.trimEnd();
}

/** What stands in the request that did not stand there before its strategy. */
function kindsOf(before: Before, url: URL, {headers}: RequestOptions): string[] {
	const kinds: string[] = [];
	for (const [name, value] of Object.entries((headers ?? {}) as Record<string, unknown>)) {
		if (String(before.headers[name.toLowerCase()]) === String(value)) continue;
		kinds.push(kindOfHeader(name.toLowerCase(), String(value)));
	}
	for (const name of new Set(url.searchParams.keys())) {
		if (!before.url.searchParams.has(name)) kinds.push(`query parameter ${name}`);
	}
	return kinds;
}

const schemes: Readonly<Record<string, string>> = {
	basic: 'user name and password',
	bearer: 'bearer token',
	dpop: 'DPoP token',
	negotiate: 'Negotiate token',
};

function kindOfHeader(name: string, value: string): string {
	const scheme = /^(\w+) /.exec(value)?.[1]?.toLowerCase() ?? '';
	return (name === 'authorization' && schemes[scheme]) || `header ${name}`;
}

/** The client certificate of a connection. It is asked for at the beginning: one that has ended tells nothing any more. */
class ShownCertificate {
	readonly #certificate: X509Certificate | undefined;
	#isSecure = false;

	constructor(socket: Socket) {
		if (!(socket instanceof TLSSocket)) return;
		this.#certificate = socket.getX509Certificate();
		// One that was kept open for the next request has been through it.
		this.#isSecure = !(socket as {secureConnecting?: boolean}).secureConnecting;
		socket.once('secureConnect', () => {
			this.#isSecure = true;
		});
	}

	/** None where the connection ended before it could be shown. `error`: by which it ended. */
	describe(error: (Error & {code?: string}) | undefined): string[] {
		if (this.#certificate === undefined || error instanceof CertificateNotShown) return [];
		// By an alert, the server speaks of what it has seen.
		const isSeen = this.#isSecure || /^(?:ERR_SSL_|EPROTO)/.test(error?.code ?? '');
		if (!isSeen) return [];
		const names = subjectValues(this.#certificate, 'CN').map(name => `CN=${name}`);
		return [`client certificate ${names.join(', ') || rfc2253Subject(this.#certificate)}`];
	}
}
