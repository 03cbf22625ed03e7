/**
 * Sends one request of a client on through gatepass, and its answer back: as streams, which go no faster than whoever
 * reads them.
 */
import type {IncomingHttpHeaders, IncomingMessage, ServerResponse} from 'node:http';
import type {Duplex} from 'node:stream';
import type {Dispatcher} from 'undici';
import type {Sendings} from '../hop/report.ts';
import {sendings} from '../transports/undici/target.ts';
import {type Generation, portOf} from './generation.ts';
import {type FlatHeaders, flatten, type Rewrite, responseHeaders} from './headers.ts';
import {answerProblem, type Problem, problemOf, refuseConnection} from './problem.ts';
import {hasTrailers, sendWithTrailers} from './request-trailers.ts';
import {guardedLookup} from './targets.ts';
import {noteBytes} from './young-memory.ts';

type Controller = Dispatcher.DispatchController;

/** Bodies up to this many bytes can be sent again, when a server wants a credential first. */
const mostReplayed = 1024 * 1024;

/** One request, as it is to be sent. */
export interface Outgoing {
	readonly dispatcher: Dispatcher;
	readonly generation: Generation;
	/** The client chooses the server: not every address will do. */
	readonly isGuarded: boolean;
	/** Where it goes; its query is in `path`. */
	readonly url: URL;
	/** Path and query, as the client wrote them. */
	readonly path: string;
	readonly headers: FlatHeaders;
	/** What becomes of the headers of the answer. */
	readonly rewrite: Rewrite | undefined;
	/** How often the request was sent until now, where redirects are followed. */
	readonly sendings?: Sendings;
	/** Told why there is no answer of the server. */
	readonly onProblem: (problem: Problem) => void;
	/** Why it is not sent after all; asked before a redirect is followed there. */
	readonly refusal?: () => Promise<Problem | undefined>;
	/** Whether a redirect is to be followed, and where to; `undefined`: it is handed back. */
	readonly follow?: (status: number, location: string) => Outgoing | undefined;
}

/** Send a request on. The answer ends up in `response`. */
export function relay(request: IncomingMessage, response: ServerResponse, outgoing: Outgoing): void {
	const {dispatcher, url, path, headers, generation, isGuarded} = outgoing;
	const handler = new ResponseRelay(request, response, outgoing);
	if (hasTrailers(request, url, generation)) {
		const lookup = isGuarded ? guardedLookup(generation.names(url.hostname, portOf(url))) : undefined;
		void sendWithTrailers(request, {generation, url, path, headers, lookup}, handler);
		return;
	}
	const options = {
		origin: url.origin,
		path,
		method: request.method as string,
		headers,
		body: bodyOf(request),
		// An answer may take as long as it does; a client that has waited enough goes away.
		bodyTimeout: 0,
		[sendings]: outgoing.sendings,
	};
	dispatcher.dispatch(options as unknown as Dispatcher.DispatchOptions, handler);
}

/** Whether a request announces a body. */
export function hasBody({headers}: IncomingMessage): boolean {
	const {'content-length': length, 'transfer-encoding': coding} = headers;
	return coding !== undefined || (length !== undefined && length !== '0');
}

function bodyOf(request: IncomingMessage): unknown {
	const {'content-length': length, 'transfer-encoding': coding} = request.headers;
	if (!hasBody(request)) return null;
	// It went to the server that has redirected the request.
	if (request.readableDidRead) return null;
	if (coding !== undefined || !(Number(length) <= mostReplayed)) return request;
	// An iterator that is read once, and no stream: so gatepass keeps what it reads of it.
	return request[Symbol.asyncIterator]();
}

class ResponseRelay implements Dispatcher.DispatchHandler {
	readonly #request: IncomingMessage;
	readonly #response: ServerResponse;
	readonly #outgoing: Outgoing;
	#controller: Controller | undefined;
	#isOver = false;
	/** The redirect that is followed when its answer is read. */
	#next: Outgoing | undefined;

	constructor(request: IncomingMessage, response: ServerResponse, outgoing: Outgoing) {
		this.#request = request;
		this.#response = response;
		this.#outgoing = outgoing;
		response.once('close', this.#clientGone);
	}

	readonly #resume = (): void => {
		if (!this.#isOver) this.#controller?.resume();
	};

	readonly #clientGone = (): void => {
		if (this.#isOver || this.#response.writableFinished) return;
		this.#controller?.abort(new Error('The client went away'));
	};

	onRequestStart(controller: Controller): void {
		this.#controller = controller;
		if (this.#response.destroyed) controller.abort(new Error('The client went away'));
	}

	onResponseStart(
		controller: Controller,
		status: number,
		headers: IncomingHttpHeaders,
		statusText?: string,
	): void {
		const response = this.#response;
		if (status < 200 || response.destroyed) return;
		const {rewrite, follow} = this.#outgoing;
		const {location} = headers;
		if (follow !== undefined && location !== undefined) this.#next = follow(status, String(location));
		if (this.#next !== undefined) return;
		const flat = responseHeaders(flatten(controller.rawHeaders, headers), rewrite);
		// Without it Node takes an answer to HEAD for one of no length.
		if (statusText) response.writeHead(status, printable(statusText), flat);
		else response.writeHead(status, flat);
		// Somebody may wait for the head alone, as with events. Where content came along with it, as it mostly does, both
		// go out in one write: another one takes a fifth of the proxy's time.
		process.nextTick(flush, response);
	}

	onResponseData(controller: Controller, chunk: Buffer): void {
		if (this.#next !== undefined || this.#response.destroyed) return;
		noteBytes(chunk.length);
		if (this.#response.write(chunk) || controller.paused) return;
		controller.pause();
		this.#response.once('drain', this.#resume);
	}

	onBodySent(chunk: Buffer): void {
		noteBytes(chunk.length);
	}

	onResponseEnd(_controller: Controller, trailers: IncomingHttpHeaders): void {
		this.#finish();
		if (this.#next !== undefined) {
			relayNext(this.#request, this.#response, this.#next);
			return;
		}
		if (this.#response.destroyed) return;
		// Dropped where the client speaks HTTP/1.0 or the length was told (RFC 9112 section 7.1.2).
		const kept = responseHeaders(flatten(undefined, trailers), this.#outgoing.rewrite);
		if (trailers.trailer === undefined && kept.length > 0) this.#response.addTrailers(pairs(kept));
		this.#response.end();
	}

	onResponseError(_controller: Controller, error: Error): void {
		this.#finish();
		if (this.#response.destroyed) return;
		const problem = problemOf(error, this.#outgoing.url.origin);
		this.#outgoing.onProblem(problem);
		answerProblem(this.#response, problem);
	}

	#finish(): void {
		this.#isOver = true;
		this.#response.off('close', this.#clientGone);
	}
}

/** As `addTrailers` takes them. */
function pairs(flat: FlatHeaders): [string, string][] {
	const made: [string, string][] = [];
	for (let index = 0; index < flat.length; index += 2)
		made.push([flat[index] as string, flat[index + 1] as string]);
	return made;
}

/** Send the request on to where a redirect leads. */
async function relayNext(request: IncomingMessage, response: ServerResponse, next: Outgoing): Promise<void> {
	const problem = await next.refusal?.();
	if (problem === undefined) {
		relay(request, response, next);
		return;
	}
	next.onProblem(problem);
	answerProblem(response, problem);
}

function flush(response: ServerResponse): void {
	if (!response.destroyed && !response.writableEnded) response.flushHeaders();
}

/** A reason phrase as Node takes it. */
function printable(text: string): string {
	return text.replace(/[^\t\x20-\x7e\x80-\xff]/g, '?');
}

/** Send on a request that asks for another protocol (RFC 9110 section 7.8). The answer goes to `socket`. */
export function relayUpgrade(
	request: IncomingMessage,
	socket: Duplex,
	head: Buffer,
	outgoing: Outgoing,
	onAnswer: (status: number) => void,
): void {
	const {dispatcher, url, path, headers} = outgoing;
	const options = {
		origin: url.origin,
		path,
		method: request.method as string,
		headers,
		upgrade: request.headers.upgrade,
		allowH2: false,
		bodyTimeout: 0,
	};
	const relayed = new UpgradeRelay(socket, head, outgoing, onAnswer);
	dispatcher.dispatch(options as unknown as Dispatcher.DispatchOptions, relayed);
}

class UpgradeRelay implements Dispatcher.DispatchHandler {
	readonly #socket: Duplex;
	readonly #head: Buffer;
	readonly #outgoing: Outgoing;
	readonly #onAnswer: (status: number) => void;
	#controller: Controller | undefined;

	constructor(socket: Duplex, head: Buffer, outgoing: Outgoing, onAnswer: (status: number) => void) {
		this.#socket = socket;
		this.#head = head;
		this.#outgoing = outgoing;
		this.#onAnswer = onAnswer;
		socket.on('error', () => {});
		socket.once('close', () => this.#controller?.abort(new Error('The client went away')));
	}

	onRequestStart(controller: Controller): void {
		this.#controller = controller;
		if (this.#socket.destroyed) controller.abort(new Error('The client went away'));
	}

	onRequestUpgrade(
		controller: Controller,
		status: number,
		headers: IncomingHttpHeaders,
		upgraded: Duplex,
	): void {
		this.#controller = undefined;
		this.#onAnswer(status);
		const protocol = String(headers.upgrade ?? 'websocket');
		const flat = responseHeaders(flatten(controller.rawHeaders, headers), this.#outgoing.rewrite);
		this.#socket.write(
			headOf(status, 'Switching Protocols', [...flat, 'Connection', 'Upgrade', 'Upgrade', protocol]),
			'latin1',
		);
		if (this.#head.length > 0) upgraded.write(this.#head);
		join(this.#socket, upgraded);
	}

	onResponseStart(
		controller: Controller,
		status: number,
		headers: IncomingHttpHeaders,
		statusText = '',
	): void {
		if (status < 200) return;
		this.#onAnswer(status);
		const flat = responseHeaders(flatten(controller.rawHeaders, headers), this.#outgoing.rewrite);
		this.#socket.write(headOf(status, printable(statusText), [...flat, 'Connection', 'close']), 'latin1');
	}

	onResponseData(controller: Controller, chunk: Buffer): void {
		if (this.#socket.write(chunk)) return;
		controller.pause();
		this.#socket.once('drain', () => controller.resume());
	}

	onResponseEnd(): void {
		this.#controller = undefined;
		this.#socket.end();
	}

	onResponseError(_controller: Controller, error: Error): void {
		this.#controller = undefined;
		const problem = problemOf(error, this.#outgoing.url.origin);
		this.#outgoing.onProblem(problem);
		refuseConnection(this.#socket, problem);
	}
}

function headOf(status: number, text: string, headers: FlatHeaders): string {
	const lines = [`HTTP/1.1 ${status} ${text}`];
	for (let index = 0; index < headers.length; index += 2)
		lines.push(`${headers[index]}: ${headers[index + 1]}`);
	return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Let two connections talk to each other, until both have said all, or one of them breaks. */
export function join(a: Duplex, b: Duplex, onEnd: () => void = () => {}): void {
	let open = 2;
	const closed = (other: Duplex) => () => {
		open -= 1;
		// What it was still to send would be lost with a connection that is destroyed at once.
		if (other.writable) other.end();
		if (open === 0) onEnd();
		else setTimeout(() => other.destroy(), 2000).unref();
	};
	for (const [from, to] of [
		[a, b],
		[b, a],
	] as const) {
		from.on('error', () => to.destroy());
		from.once('close', closed(to));
		from.pipe(to);
	}
}
