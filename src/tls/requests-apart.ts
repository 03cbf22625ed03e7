/**
 * Keeps requests apart that use one connection after the other. A request hangs on responses and errors, which get kept
 * and printed: so it forgets its headers as soon as it is answered or has failed, and by its agent and its connection
 * nobody comes to what is sent later.
 */
import type {ClientRequest, IncomingMessage} from 'node:http';
import type {Socket} from 'node:net';
import type {Duplex} from 'node:stream';
import {HttpAgent} from './node-http.ts';

/** The parts of Node's and of got's HTTP/2 requests that have no public way to be cleared once they are sent. */
interface Inside {
	agent?: {[isKeptApart]?: true} | null;
	res?: {socket?: unknown; client?: unknown} | null;
	/** The serialised head. */
	_header?: string | null;
	_headerSent?: boolean;
	/** What waits for a socket, and below for its connection: the head and the body. */
	outputData?: {data: unknown}[];
	socket?: {destroyed: boolean; _pendingData?: unknown} | null;
	isGotHttp2Request?: boolean;
	/** The header table of an HTTP/2 request. */
	headers?: Record<string, unknown>;
	stream?: Record<symbol, unknown>;
	[hidden: symbol]: unknown;
}

const isKeptApart = Symbol('gatepass.keptApart');

// biome-ignore lint/suspicious/noExplicitAny: TypeScript takes no other parameters for a class that extends any.
type AgentClass = new (...parameters: any[]) => HttpAgent;

/** Milliseconds. What lies between forgets connections later. */
const longestIdle = 5000;

/**
 * An agent whose idle connections are kept as long as Node's own agents keep them. The clock runs while they are idle
 * only: Node's timers hold on to each other, so by one on a connection in use, one would come to the requests of others.
 */
export function keepingApart<Base extends AgentClass>(base: Base): Base {
	return class extends base {
		readonly [isKeptApart] = true;

		override keepSocketAlive(socket: Duplex): boolean {
			const isKept = super.keepSocketAlive(socket) !== (false as unknown);
			// Unless the server said that it keeps it for less, or the agent has a limit of its own.
			if (isKept && ((socket as Socket).timeout ?? 0) === 0) (socket as Socket).setTimeout(longestIdle);
			return isKept;
		}

		override reuseSocket(socket: Duplex, request: ClientRequest): void {
			super.reuseSocket(socket, request);
			(socket as Socket).setTimeout(0);
			noteReuse(socket as Socket);
		}
	};
}

/** An agent for plain http whose connections keep no headers of the request for which they were opened. */
export class DirectAgent extends keepingApart(HttpAgent) {
	override createConnection(...[requested, ...others]: unknown[]): Duplex | null | undefined {
		const {headers: _, auth: __, agent: ___, ...options} = requested as Record<string, unknown>;
		return super.createConnection(options as never, ...(others as [])) as Duplex | null | undefined;
	}
}

/** When a connection was used again, for whoever judges why it broke. */
export interface Reuse {
	/** Bytes that it had given by then. */
	read: number;
	/** By the monotonic clock. */
	at: number;
}

const reuses = new WeakMap<Socket, Reuse>();

function noteReuse(socket: Socket): void {
	const {bytesRead: read} = socket;
	const at = performance.now();
	const known = reuses.get(socket);
	if (known === undefined) reuses.set(socket, {read, at});
	else Object.assign(known, {read, at});
}

/** The last time that it was; `undefined`: it serves its first request. */
export function reuseOf(socket: Socket): Readonly<Reuse> | undefined {
	return reuses.get(socket);
}

/** To be called with each request over an agent of gatepass, when it is made. */
export function detachWhenDone<Request extends ClientRequest>(request: Request): Request {
	const inside = request as unknown as Inside;
	if (inside.agent?.[isKeptApart] !== true) return request;
	let answer: IncomingMessage | undefined;
	request.once('response', response => {
		answer = response;
		// It has its connection, so Node needs the agent no more.
		inside.agent = null;
	});
	request.once('close', () => {
		// Right after it, Node gives the connection back.
		process.nextTick(() => {
			inside.agent = null;
			// Over one that is destroyed, nothing is sent any more.
			if (inside.socket?.destroyed !== false) return;
			inside.socket = null;
			for (const message of [answer as Inside['res'], inside.res]) {
				if (message) Object.assign(message, {socket: null, client: null});
			}
		});
	});
	return request;
}

const findSymbol = (holder: object, description: string): symbol | undefined =>
	Object.getOwnPropertySymbols(holder).find(symbol => symbol.description === description);

/** Node's header table. The symbol is always the same, so it is looked for once. */
let outHeaders: symbol | undefined;

/** Make a request that is answered or has failed forget its headers and its query. */
export function scrubRequest(request: ClientRequest): void {
	const inside = request as unknown as Inside;
	if (inside.isGotHttp2Request === true) {
		scrubHttp2(inside);
		return;
	}
	if (inside._header && inside._headerSent === true) inside._header = '(headers removed by gatepass)\r\n\r\n';
	outHeaders ??= findSymbol(request, 'kOutHeaders');
	if (outHeaders !== undefined) inside[outHeaders] = null;
	const {path} = request;
	if (path?.includes('?')) request.path = path.slice(0, path.indexOf('?'));
	if (request.destroyed) forgetUnsent(inside);
}

function forgetUnsent({outputData, socket}: Inside): void {
	if (outputData !== undefined) outputData.length = 0;
	if (socket?.destroyed === true && socket._pendingData != null) socket._pendingData = null;
}

function scrubHttp2(inside: Inside): void {
	inside.headers = {};
	const {stream} = inside;
	if (stream === undefined) return;
	const sentHeaders = findSymbol(stream, 'sent-headers');
	if (sentHeaders !== undefined) stream[sentHeaders] = {};
}
