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

export interface LegAnswer extends Leg {
	readonly message: IncomingMessage;
	readonly received: Received;
}

/** Wait for it. An answered leg can still fail while its body is on its way; what counts is the answer. */
export function untilAnswered(leg: ClientRequest, onAnswer: () => void): Promise<LegAnswer> {
	return new Promise((resolve, reject) => {
		let isAnswered = false;
		leg.once('response', (message: IncomingMessage) => {
			isAnswered = true;
			onAnswer();
			const received = receivedResponse(message);
			resolve({
				response: received.response,
				message,
				received,
				async readBody(most) {
					// Few strategies look into answers.
					const {readAhead} = await import('../../http/read-ahead.ts');
					const {content, bytes} = await readAhead(message, most);
					received.content = content;
					return bytes;
				},
				discard() {
					message.on('error', () => {});
					if (received.content === message) message.resume();
					else received.content.destroy();
				},
			});
		});
		leg.on('error', reject);
		leg.once('close', () => {
			// Every request is closed in the end, and to make an error is dear.
			if (!isAnswered) reject(closedEarly());
		});
	});
}

function closedEarly(): Error {
	return Object.assign(new Error('socket hang up'), {code: 'ECONNRESET'});
}

export interface Received {
	readonly response: AuthResponse;
	/** Whether the strategy does not believe it. */
	readonly isWithheld: boolean;
	/** The message, or what has its place once its body was read. */
	content: IncomingMessage;
	/** What the caller gets: the content, unless the strategy withheld it. */
	deliver(): IncomingMessage;
}

export function receivedResponse(message: IncomingMessage): Received {
	let kept: readonly string[] | undefined;
	return {
		content: message,
		response: {
			status: message.statusCode ?? 0,
			headers: message.headers,
			body: undefined,
			withhold(keepHeaders) {
				kept = keepHeaders;
			},
		},
		get isWithheld() {
			return kept !== undefined;
		},
		deliver() {
			return kept === undefined ? this.content : withoutContent(message, kept);
		},
	};
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
