/**
 * Takes the credential out of a request as soon as it is answered or has failed: the request hangs on responses and
 * errors, and these get printed.
 */
import type {ClientRequest} from 'node:http';

/** The parts of Node's and of got's HTTP/2 requests that have no public way to be cleared once they are sent. */
interface Inside {
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

const findSymbol = (holder: object, description: string): symbol | undefined =>
	Object.getOwnPropertySymbols(holder).find(symbol => symbol.description === description);

/** Node's header table. The symbol is always the same, so it is looked for once. */
let outHeaders: symbol | undefined;

/** Give a request another path and query than its URL has. */
export function setPath(request: ClientRequest, path: string): void {
	const {isGotHttp2Request, headers} = request as unknown as Inside;
	if (isGotHttp2Request === true && headers !== undefined) headers[':path'] = path;
	else request.path = path;
}

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
