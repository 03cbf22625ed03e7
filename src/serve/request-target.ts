/** Reads what a client asks for (RFC 9112 section 3.2), strictly: what can be read in two ways is refused. */
import type {IncomingMessage} from 'node:http';
import {isNormal} from '../transports/undici/target.ts';
import type {Problem} from './problem.ts';

/** Path and query as the client wrote them, and the path as a URL has it. */
export interface AskedPath {
	readonly pathname: string;
	/** With its question mark, to the byte; empty: none. */
	readonly query: string;
}

/** `undefined`: it is none that can be sent on. */
export function splitPath(written: string): AskedPath | undefined {
	// Node's parser lets bytes beyond ASCII through.
	if (!written.startsWith('/') || /[^\x21-\x7e]|#|\\/.test(written)) return undefined;
	const mark = written.indexOf('?');
	const path = mark === -1 ? written : written.slice(0, mark);
	const query = mark === -1 ? '' : written.slice(mark);
	// Most paths need not be taken apart for what is the same afterwards.
	if (isNormal(path)) return {pathname: path, query};
	const url = URL.parse(`http://proxy${path}`);
	return url === null ? undefined : {pathname: url.pathname, query};
}

/** Host and port of CONNECT (RFC 9110 section 9.3.6). The host is as `URL.hostname` gives it. */
export function parseAuthority(written: string): {hostname: string; port: number} | undefined {
	const [, host = '', digits = ''] = /^(\[[\da-f:.]+\]|[^:@/?#\\\s%[\]]+):(\d{1,5})$/i.exec(written) ?? [];
	const port = Number(digits);
	const url = host === '' ? null : URL.parse(`http://${host}/`);
	if (url === null || port < 1 || port > 65_535 || url.pathname !== '/') return undefined;
	return {hostname: url.hostname, port};
}

/** What is wrong with a request whatever it asks for; `undefined`: nothing. */
export function faultOf(request: IncomingMessage): Problem | undefined {
	const {rawHeaders, method, headers, httpVersionMajor, httpVersionMinor} = request;
	if (httpVersionMajor !== 1) {
		return {
			status: 505,
			code: 'version-unknown',
			detail: 'The request is not of HTTP/1.1',
			hint: 'Write the version behind the target: GET /runs HTTP/1.1',
			headers: {connection: 'close'},
		};
	}
	let hosts = 0;
	let lengths = 0;
	for (let index = 0; index < rawHeaders.length; index += 2) {
		const name = rawHeaders[index] as string;
		if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1;
		else if (name.length === 14 && name.toLowerCase() === 'content-length') lengths += 1;
	}
	// Python's before 3.12 asks for a tunnel without one; there the target says all.
	if (hosts === 0 && httpVersionMinor > 0 && method !== 'CONNECT') return hostMissing;
	const isChunked = headers['transfer-encoding'] !== undefined;
	if (hosts > 1 || lengths > 1 || (lengths > 0 && isChunked)) {
		return ambiguous(
			'The request has two values for its host or its length',
			'Send Host, and one of Content-Length and Transfer-Encoding, once',
		);
	}
	if (isChunked && httpVersionMinor === 0) {
		return ambiguous(
			'HTTP/1.0 has no Transfer-Encoding (RFC 9112 section 6.1)',
			'Send HTTP/1.1, or a Content-Length',
		);
	}
	const hasBody = isChunked || (headers['content-length'] ?? '0') !== '0';
	if (hasBody && /^websocket$/i.test(headers.upgrade ?? '')) {
		return ambiguous(
			'A request for WebSocket has a body, which would be data of that protocol to others',
			'Send it without one',
		);
	}
	// A server sends back what it was sent, a credential as well (RFC 9110 section 9.3.8).
	if (method === 'TRACE' || method === 'TRACK') {
		return {
			status: 405,
			code: 'method-refused',
			detail: `${method} would show the client what a rule has added`,
			hint: 'Use another method',
			headers: {allow: 'GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS, CONNECT'},
		};
	}
	return undefined;
}

export const hostMissing: Problem = {
	status: 400,
	code: 'host-missing',
	detail: 'The request has no header Host (RFC 9112 section 3.2)',
	hint: 'Send one, with the host and the port that are asked',
	headers: {connection: 'close'},
};

function ambiguous(detail: string, hint: string): Problem {
	// Where the next request begins is not certain.
	return {status: 400, code: 'request-ambiguous', detail, hint, headers: {connection: 'close'}};
}
