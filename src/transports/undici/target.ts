/** Where a dispatched request goes: the URL for which its rule is chosen is the one that is asked for. */
import {stringify} from 'node:querystring';
import type {Dispatcher} from 'undici';

export interface Target {
	readonly url: URL;
	/** Upper-case. */
	readonly method: string;
	/** Path and query, as they are sent. */
	readonly path: string;
	/** What the caller asked for first, where redirects have led here. */
	readonly firstOrigin: string | undefined;
}

/** The origin of the first hop, in the options of a dispatch: `gatepass.fetch` knows it. */
export const firstOrigin: unique symbol = Symbol('gatepass.firstOrigin');

/**
 * The target of a dispatch; `undefined` for what is no request to a URL: a tunnel, or one that is meant for a proxy.
 *
 * @param ownOrigin of a dispatcher that knows one server only.
 */
export function targetOf(
	options: Dispatcher.DispatchOptions,
	handler: Dispatcher.DispatchHandler,
	ownOrigin: string | undefined,
): Target | undefined {
	const {origin, path: given, method, query} = options;
	if (typeof given !== 'string' || given[0] !== '/' || method === 'CONNECT') return undefined;
	const base = ownOrigin ?? originOf(origin);
	if (base === undefined) return undefined;
	const whole = query === undefined || query === null ? given : withQuery(given, query);
	// A path may look like another host, as in `//b.example`: it is put behind the origin, not resolved against it.
	const url = URL.parse(base + whole);
	if (url === null) return undefined;
	const normalised = url.pathname + url.search;
	// No rule looks at the query: it is sent to the byte. The path is sent as it is looked at.
	const [path = ''] = whole.split('?', 1);
	const isSame = whole === normalised || (path === url.pathname && /^[\x21-\x22\x24-\x7e]*$/.test(whole));
	return {
		url,
		method: String(method).toUpperCase(),
		path: isSame ? whole : normalised,
		firstOrigin: firstOriginOf(options, handler),
	};
}

/** undici's redirect interceptor keeps the URLs that it has been to. */
function firstOriginOf(options: object, handler: object): string | undefined {
	const known = (options as {[firstOrigin]?: string})[firstOrigin];
	if (known !== undefined) return known;
	const {history} = handler as {history?: unknown};
	return Array.isArray(history) && history[0] instanceof URL ? history[0].origin : undefined;
}

function originOf(origin: string | URL | undefined): string | undefined {
	if (typeof origin !== 'string') return origin?.origin;
	// Most are written as they should be.
	return /^https?:\/\/[\w.:[\]-]+$/.test(origin) ? origin : URL.parse(origin)?.origin;
}

/** @throws {Error} as undici does, which takes no query besides one in the path. */
function withQuery(path: string, query: Record<string, unknown>): string {
	if (/[?#]/.test(path)) {
		throw new Error('Query params cannot be passed when url already contains "?" or "#".');
	}
	const text = stringify(query as Record<string, string>);
	return text === '' ? path : `${path}?${text}`;
}
