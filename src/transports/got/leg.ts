/** One leg over got: its request, as Node sends it, and the answer, as the strategy, the loop and the caller get it. */
import type {ClientRequest, Agent as HttpAgent, IncomingMessage, RequestOptions} from 'node:http';
import https from 'node:https';
import {Readable} from 'node:stream';
import {type HopRequest, spelled} from '../../hop/request.ts';
import type {Leg} from '../../hop/run.ts';
import type {AuthResponse} from '../../strategy/index.ts';
import {http} from '../../tls/node-http.ts';
import {setTarget} from './leg-options.ts';

/** What got itself would do. @param agent takes the place of the one in the options. */
export function sendByNode(url: URL, native: RequestOptions, agent?: HttpAgent): ClientRequest {
	const options = withoutUndefined(native);
	if (agent !== undefined) options.agent = agent;
	return (url.protocol === 'https:' ? https : http).request(url, options);
}

/**
 * got names every option that Node has, and most are `undefined`, which means the same as not to name them. Node copies
 * the options several times for each request; without those it takes 8 % less of the processor's time.
 */
function withoutUndefined(native: RequestOptions): RequestOptions {
	const all = native as Record<string, unknown>;
	const named: RequestOptions & Record<string, unknown> = {};
	for (const name in all) {
		// Of these alone, the URL says something too: here `undefined` means none.
		if (all[name] !== undefined || name === 'auth') named[name] = all[name];
	}
	return named;
}

/** Give a request that is made, and not sent yet, what the strategy changed. Node keeps the options, so they hold none of it. */
export function addChanges(leg: ClientRequest, {headers, target, addsQuery}: HopRequest): ClientRequest {
	try {
		for (const name of headers.changed) {
			const value = headers.record[name];
			if (value === undefined) leg.removeHeader(name);
			else leg.setHeader(spelled(name), value);
		}
	} catch (error) {
		// A value that cannot stand in a header. Nobody else knows of the request as yet.
		leg.on('error', () => {});
		leg.destroy();
		throw error;
	}
	if (addsQuery) setTarget(leg, target);
	return leg;
}

/** The answer to one leg. An answered leg can still fail while its body is on its way; what counts is the answer. */
export class LegAnswer implements Leg {
	readonly message: IncomingMessage;
	readonly response: AuthResponse;
	/** The message, or what has its place once its body was read. */
	content: IncomingMessage;
	/** The headers that are left of an answer that the strategy does not believe. */
	#kept: readonly string[] | undefined;

	constructor(message: IncomingMessage) {
		this.message = message;
		this.content = message;
		this.response = {
			status: message.statusCode ?? 0,
			headers: message.headers,
			body: undefined,
			withhold: keepHeaders => {
				this.#kept = keepHeaders;
			},
		};
	}

	/** Whether the strategy does not believe it. */
	get isWithheld(): boolean {
		return this.#kept !== undefined;
	}

	async readBody(most: number): Promise<Uint8Array | undefined> {
		// Few strategies look into answers.
		const {readAhead} = await import('../../http/read-ahead.ts');
		const {content, bytes} = await readAhead(this.message, most);
		this.content = content;
		return bytes;
	}

	discard(): void {
		this.message.on('error', () => {});
		if (this.content === this.message) this.message.resume();
		else this.content.destroy();
	}

	/** What the caller gets: the content, unless the strategy withheld it. */
	deliver(): IncomingMessage {
		return this.#kept === undefined ? this.content : withoutContent(this.message, this.#kept);
	}
}

/** The same status with only some headers and no body. The body is drained, so that the connection can be used again. */
function withoutContent(message: IncomingMessage, kept: readonly string[]): IncomingMessage {
	message.on('error', () => {});
	message.resume();
	const headers = Object.fromEntries(Object.entries(message.headers).filter(([name]) => kept.includes(name)));
	// What is delivered has no bytes; the length says so, or got would take it for cut off.
	if ('content-length' in headers) headers['content-length'] = '0';
	const empty = Object.assign(Readable.from([]), {
		statusCode: message.statusCode,
		statusMessage: message.statusMessage,
		httpVersion: message.httpVersion,
		headers,
		rawHeaders: Object.entries(headers).flat(),
		trailers: {},
		rawTrailers: [],
		complete: true,
	});
	return empty as unknown as IncomingMessage;
}
