/** What would send a request without gatepass, where that is not Node: the caller's function, got's cache, HTTP/2. */
import type {ClientRequest, IncomingMessage, RequestOptions} from 'node:http';
import type {NormalizedOptions, RequestFunction} from 'got';
import type {Router} from '../../hop/request.ts';
import type {Send} from './leg-options.ts';

type OnResponse = (response: IncomingMessage) => void;
type SendFunction = (url: URL, options: RequestOptions) => ClientRequest | Promise<ClientRequest>;
type SendFromCache = (options: RequestOptions, onResponse: OnResponse | undefined) => ClientRequest;

/** got calls with a URL, its cache with everything in one object and a function for the response. */
export type RequestParameters = [url: URL, native: RequestOptions] | [native: RequestOptions, OnResponse];

/** Where a request goes, with what options, and how it is sent. */
export interface Sender {
	readonly url: URL;
	readonly native: RequestOptions;
	readonly send: Send;
	/** Who else is to be shown the response: got's cache. */
	readonly onResponse?: OnResponse;
}

export function senderOf(
	options: NormalizedOptions,
	callers: RequestFunction | undefined,
	router: Router,
	[first, second]: RequestParameters,
): Sender {
	if (!(first instanceof URL)) {
		const url = options.url as URL;
		const onResponse = second as OnResponse;
		const listener = router.carriesCredential(url, options.method) ? unkept(onResponse) : onResponse;
		return cacheSender(options, callers, url, first, listener);
	}
	const native = second as RequestOptions;
	const send = (url: URL, sent: RequestOptions) => (functionOf(options, callers) as SendFunction)(url, sent);
	if (options.http2 !== true) return {url: first, native, send};
	// To a function of its own, got hands only what is for HTTP/1.1.
	const whole = {...options.createNativeRequestOptions(), auth: native.auth} as RequestOptions;
	return {
		url: first,
		native: whole,
		send: (url, sent) => send(url, sent.agent === whole.agent ? sent : overHttp1(sent)),
	};
}

/** An agent of gatepass speaks HTTP/1.1: sessions of HTTP/2 are pooled without regard to identities. */
function overHttp1(sent: RequestOptions): RequestOptions {
	return {...sent, agent: {https: sent.agent}, h2session: undefined} as unknown as RequestOptions;
}

/** A hook after ours can lead a request that is to be cached to a URL whose answers must not be. */
const unkept =
	(onResponse: OnResponse): OnResponse =>
	response => {
		response.headers['cache-control'] = 'no-store';
		onResponse(response);
	};

function cacheSender(
	options: NormalizedOptions,
	callers: RequestFunction | undefined,
	url: URL,
	native: RequestOptions,
	onResponse: OnResponse,
): Sender {
	return {
		url,
		native,
		send: (_url, sent) => (functionOf(options, callers) as unknown as SendFromCache)(sent, undefined),
		onResponse,
	};
}

/** Asked for when it is needed: a hook after ours may have changed the URL, and with it what sends. */
function functionOf(options: NormalizedOptions, callers: RequestFunction | undefined): unknown {
	const {request} = options;
	options.request = callers;
	try {
		return options.getRequestFunction();
	} finally {
		options.request = request;
	}
}
