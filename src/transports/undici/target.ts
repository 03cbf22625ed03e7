/** Where a dispatched request goes: the URL for which its rule is chosen is the one that is asked for. */
import {stringify} from 'node:querystring';
import type {Dispatcher} from 'undici';
import type {Place} from '../../hop/request.ts';

/** The origin of the first hop, in the options of a dispatch: `gatepass.fetch` knows it. */
export const firstOrigin: unique symbol = Symbol('gatepass.firstOrigin');

/** How often a request was sent until now, in the options of a dispatch: where whoever dispatches several hops says. */
export const sendings: unique symbol = Symbol('gatepass.sendings');

/** What all URLs of one server have in common. */
type Server = Pick<URL, 'origin' | 'protocol' | 'host' | 'hostname' | 'port'>;

export class Target implements Place {
	readonly origin: string;
	readonly protocol: string;
	readonly host: string;
	readonly hostname: string;
	readonly port: string;
	readonly pathname: string;
	/** Upper-case. */
	readonly method: string;
	/** Path and query, as they are sent. */
	readonly path: string;
	/** What the caller asked for first, where redirects have led here. */
	readonly firstOrigin: string | undefined;
	#url: URL | undefined;

	constructor(
		{origin, protocol, host, hostname, port}: Server,
		{pathname, path}: {readonly pathname: string; readonly path: string},
		method: string,
		first: string | undefined,
		url?: URL,
	) {
		this.origin = origin;
		this.protocol = protocol;
		this.host = host;
		this.hostname = hostname;
		this.port = port;
		this.pathname = pathname;
		this.path = path;
		this.method = method;
		this.firstOrigin = first;
		this.#url = url;
	}

	/** As `URL.search`. */
	get search(): string {
		return this.url.search;
	}

	/** Made when somebody asks for it: that costs as much as all the rest that is done for a request with a warm token. */
	get url(): URL {
		this.#url ??= new URL(this.origin + this.path);
		return this.#url;
	}
}

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
	const base = ownOrigin ?? (typeof origin === 'string' ? origin : origin?.origin);
	const server = base === undefined ? undefined : serverAt(base);
	if (server === undefined) return undefined;
	const whole = query === undefined || query === null ? given : withQuery(given, query);
	const verb = method === 'GET' ? method : String(method).toUpperCase();
	const first = firstOriginOf(options, handler);
	if (isNormal(whole)) {
		const end = whole.indexOf('?');
		const pathname = end === -1 ? whole : whole.slice(0, end);
		return new Target(server, {pathname, path: whole}, verb, first);
	}
	// A path may look like another host, as in `//b.example`: it is put behind the origin, not resolved against it.
	const url = URL.parse(server.origin + whole);
	if (url === null) return undefined;
	const {pathname} = url;
	const normalised = pathname + url.search;
	// No rule looks at the query: it is sent to the byte. The path is sent as it is looked at.
	const [path = ''] = whole.split('?', 1);
	const isSame = whole === normalised || (path === pathname && /^[\x21-\x22\x24-\x7e]*$/.test(whole));
	return new Target(server, {pathname, path: isSame ? whole : normalised}, verb, first, url);
}

/**
 * Whether the path is as `URL` would write it, by the letters that it leaves alone (URL Standard, path percent-encode
 * set), and the query can be sent to the byte. A segment that begins with a dot may be none to `URL`.
 */
export function isNormal(path: string): boolean {
	return /^(?:\/(?!\.)[\w~!$&'()*+,;=:@.-]*)+(?:\?[\x21-\x22\x24-\x7e]*)?$/.test(path);
}

/** More servers than that are not kept in mind; they are taken apart again. */
const mostServers = 1000;
const servers = new Map<string, Server>();

function serverAt(base: string): Server | undefined {
	const known = servers.get(base);
	if (known !== undefined) return known;
	// What stands besides in it, such as user information, is no part of where it leads to.
	const url = URL.parse(URL.parse(base)?.origin ?? '');
	if (url === null) return undefined;
	const {origin, protocol, host, hostname, port} = url;
	const server = {origin, protocol, host, hostname, port};
	if (base !== origin) return server;
	if (servers.size >= mostServers) servers.clear();
	servers.set(base, server);
	return server;
}

/** undici's redirect interceptor keeps the URLs that it has been to. */
function firstOriginOf(options: object, handler: object): string | undefined {
	const known = (options as {[firstOrigin]?: string})[firstOrigin];
	if (known !== undefined) return known;
	const {history} = handler as {history?: unknown};
	return Array.isArray(history) && history[0] instanceof URL ? history[0].origin : undefined;
}

/** @throws {Error} as undici does, which takes no query besides one in the path. */
function withQuery(path: string, query: Record<string, unknown>): string {
	if (/[?#]/.test(path)) {
		throw new Error('Query params cannot be passed when url already contains "?" or "#".');
	}
	const text = stringify(query as Record<string, string>);
	return text === '' ? path : `${path}?${text}`;
}
