/** Takes the credential out of a request that has been sent and failed, because its error will be printed. */
import type {ClientRequest} from 'node:http';
import type {Request, RequestError} from 'got';

/** Both the serialised head and the header table of Node's request would otherwise hang on the error. */
export function forgetSentHeaders(request: Request | undefined, error: RequestError): void {
	const sent = (request as {_request?: ClientRequest} | undefined)?._request;
	const answered = (error.response as {req?: ClientRequest} | undefined)?.req;
	for (const clientRequest of [sent, answered]) if (clientRequest !== undefined) blotOut(clientRequest);
}

/** Make a finished request forget its headers. */
export function blotOut(request: ClientRequest): void {
	// Node's names for the two places; there is no public way to clear them once they are sent.
	const hidden = request as unknown as Record<string | symbol, unknown>;
	if (hidden._header) hidden._header = '(headers removed by gatepass)\r\n\r\n';
	for (const symbol of Object.getOwnPropertySymbols(request)) {
		if (symbol.description === 'kOutHeaders') hidden[symbol] = null;
	}
	const {path} = request;
	if (path?.includes('?')) request.path = path.slice(0, path.indexOf('?'));
}
