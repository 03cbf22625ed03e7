/** What the proxy answers by itself: problem documents (RFC 9457) that say what happened and what to do. */

import type {ServerResponse} from 'node:http';
import type {Duplex} from 'node:stream';
import {networkHints} from '../diagnostics/network-hints.ts';
import {
	ClosedError,
	GatepassError,
	InsecureTransportError,
	NoRuleError,
	TokenRequestError,
} from '../errors.ts';
import {http} from '../tls/node-http.ts';
import {targetRefused} from './targets.ts';

/** Why the proxy answers by itself. Holds no secret. */
export interface Problem {
	readonly status: number;
	/** Stable, for programs. */
	readonly code: string;
	readonly detail: string;
	readonly hint: string;
	/** By lower-case name. */
	readonly headers?: Readonly<Record<string, string>>;
}

/** Codes of a connection that took too long. */
const late = new Set([
	'ETIMEDOUT',
	'UND_ERR_CONNECT_TIMEOUT',
	'UND_ERR_HEADERS_TIMEOUT',
	'UND_ERR_BODY_TIMEOUT',
]);
/** Codes of what the client sent, which undici does not send on. */
const clients = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH', 'ERR_INVALID_CHAR']);

const hints: Readonly<Record<string, string | undefined>> = {
	...networkHints,
	EPIPE: networkHints.ECONNRESET,
	UND_ERR_SOCKET: networkHints.ECONNRESET,
};

/** No connection is made to a place. */
export function refusedProblem(why: string): Problem {
	return {
		status: 403,
		code: 'target-refused',
		detail: `No connection is made: ${why}`,
		hint: 'Connect without the proxy (NO_PROXY), or add a host rule that names this host',
	};
}

/** What a failed request to `origin` is told to the client. */
export function problemOf(error: unknown, origin: string): Problem {
	const {code = 'unknown', message} = error as {code?: string; message?: string};
	if (error instanceof GatepassError) {
		const [{what, hint} = {what: error.message, hint: ''}] = error.diagnostics;
		const detail = error.diagnostics.length > 1 ? error.message : what;
		return {
			status: statusOf(error),
			code: error.code,
			detail,
			hint: hint || "'gatepass doctor' looks into it",
		};
	}
	if (code === targetRefused) return refusedProblem(message ?? '');
	if (late.has(code)) {
		const hint = 'Try again, or check the network between this machine and the server';
		return {status: 504, code, detail: `${origin} did not answer in time`, hint};
	}
	if (clients.has(code)) {
		const detail = `The request cannot be sent on: ${message}`;
		return {status: 400, code, detail, hint: 'Change what the client sends'};
	}
	// What a TLS library says of a certificate has a code and words of its own.
	const why = code === 'unknown' ? 'the request failed' : `${code}: ${message}`;
	const hint = hints[code] ?? "'gatepass doctor URL' looks into it";
	return {status: 502, code, detail: `${origin} gave no answer (${why})`, hint};
}

function statusOf(error: GatepassError): number {
	if (error instanceof NoRuleError || error instanceof InsecureTransportError) return 403;
	if (error instanceof ClosedError) return 503;
	if (error instanceof TokenRequestError && error.status === undefined && isLate(error)) return 504;
	return 502;
}

function isLate(error: Error): boolean {
	for (let current: unknown = error; current instanceof Error; current = current.cause) {
		const {code, name} = current as NodeJS.ErrnoException;
		if (late.has(code ?? '') || name === 'TimeoutError') return true;
	}
	return false;
}

/** Head and body of the answer. */
export function render({status, code, detail, hint, headers}: Problem): {
	status: number;
	headers: Record<string, string>;
	body: string;
} {
	const title = http.STATUS_CODES[status] ?? 'Error';
	const document = {type: `urn:gatepass:error:${code}`, title, status, detail, code, hint};
	const body = `${JSON.stringify(document, null, '\t')}\n`;
	return {
		status,
		headers: {
			'content-type': 'application/problem+json',
			'content-length': String(Buffer.byteLength(body)),
			'cache-control': 'no-store',
			...headers,
		},
		body,
	};
}

/** Answer a request. Where an answer has begun, breaking it off is all that can be said. */
export function answerProblem(response: ServerResponse, problem: Problem): void {
	if (response.headersSent) {
		response.destroy();
		return;
	}
	const {status, headers, body} = render(problem);
	response.writeHead(status, headers).end(body);
}

/** The same where there is a connection and no response: CONNECT, an upgrade, what could not be parsed. */
export function refuseConnection(socket: Duplex, problem: Problem): void {
	if (socket.destroyed || !socket.writable) {
		socket.destroy();
		return;
	}
	const {status, headers, body} = render(problem);
	const lines = Object.entries({...headers, connection: 'close'}).map(([name, value]) => `${name}: ${value}`);
	socket.on('error', () => {});
	socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
	// What still comes would keep the connection open: it is read for a moment, so that the answer is, too.
	socket.resume();
	const timer = setTimeout(() => socket.destroy(), 1000);
	socket.once('close', () => clearTimeout(timer));
}
