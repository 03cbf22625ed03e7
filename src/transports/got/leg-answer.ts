/** The answer to one leg: as the strategy sees it, as the loop of a hop wants it, and as the caller gets it. */
import type {ClientRequest, IncomingMessage} from 'node:http';
import {Readable} from 'node:stream';
import type {Leg} from '../../hop/run.ts';
import type {AuthResponse} from '../../strategy/index.ts';

export interface LegAnswer extends Leg {
	readonly message: IncomingMessage;
	readonly received: Received;
}

/** Wait for it. An answered leg can still fail while its body is on its way; what counts is the answer. */
export function untilAnswered(leg: ClientRequest, onAnswer: () => void): Promise<LegAnswer> {
	return new Promise((resolve, reject) => {
		leg.once('response', (message: IncomingMessage) => {
			onAnswer();
			const received = receivedResponse(message);
			resolve({
				response: received.response,
				message,
				received,
				discard() {
					message.on('error', () => {});
					message.resume();
				},
			});
		});
		leg.on('error', reject);
		leg.once('close', () => reject(closedEarly()));
	});
}

function closedEarly(): Error {
	return Object.assign(new Error('socket hang up'), {code: 'ECONNRESET'});
}

export interface Received {
	readonly response: AuthResponse;
	/** Whether the strategy does not believe it. */
	readonly isWithheld: boolean;
	/** What the caller gets: the message itself, unless the strategy withheld it. */
	deliver(): IncomingMessage;
}

export function receivedResponse(message: IncomingMessage): Received {
	let kept: readonly string[] | undefined;
	return {
		response: {
			status: message.statusCode ?? 0,
			headers: message.headers,
			withhold(keepHeaders) {
				kept = keepHeaders;
			},
		},
		get isWithheld() {
			return kept !== undefined;
		},
		deliver: () => (kept === undefined ? message : withoutContent(message, kept)),
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
