/**
 * Sends a request whose headers and body got does not know: got publishes the headers on its diagnostics channels, and
 * hangs the rest on its errors.
 */
import {type ClientRequest, request as requestHttp} from 'node:http';
import {request as requestHttps} from 'node:https';
import type {RequestFunction} from 'got';
import {detachWhenDone, scrubRequest} from '../tls/requests-apart.ts';
import type {ProxyServer} from '../tls/way-out.ts';

/** A function for got's option `request`, which sends these headers and this body. */
export function sendBelow(
	secretHeaders: Readonly<Record<string, string>>,
	body: string | undefined,
	proxy?: ProxyServer,
): RequestFunction {
	// As bytes: Node writes the headers in the encoding of a body that is text.
	const bytes = body === undefined ? undefined : Buffer.from(body);
	return (url, options) => {
		const send = url.protocol === 'https:' ? requestHttps : requestHttp;
		const secret = {
			...secretHeaders,
			...(proxy?.authorization && {'Proxy-Authorization': proxy.authorization}),
		};
		const headers: Record<string, unknown> = {...options.headers, ...secret};
		if (bytes !== undefined) headers['Content-Length'] = bytes.length;
		const request = send(url, {
			...options,
			// RFC 9112 section 3.2.2: a proxy is asked for the whole URL.
			...(proxy !== undefined && {path: url.origin + url.pathname + url.search}),
			headers: headers as Record<string, string>,
		});
		// Node keeps the options with the socket, which outlives the request.
		for (const name of Object.keys(secret)) delete headers[name];
		hideWhenDone(request);
		detachWhenDone(request);
		const {end} = request;
		request.end = () => end.call(request, bytes, undefined as never);
		return request;
	};
}

/** As soon as it is answered or has failed: it hangs on the response and on errors. */
function hideWhenDone(request: ClientRequest): void {
	for (const event of ['response', 'error']) request.once(event, () => scrubRequest(request));
	const {destroy} = request;
	request.destroy = error => {
		destroy.call(request, error);
		scrubRequest(request);
		return request;
	};
}
