/** Turns what a server says of its own URLs into those by which clients of the reverse form reach it. */
import type {ServeRoute} from '../config/serve-settings.ts';
import type {Rewrite} from './headers.ts';

/** The route of a path, and what of the path stands behind the prefix. */
export function findRoute(
	routes: readonly ServeRoute[],
	pathname: string,
): {route: ServeRoute; rest: string} | undefined {
	for (const route of routes) {
		const {prefix} = route;
		if (!pathname.startsWith(prefix)) continue;
		const rest = pathname.slice(prefix.length);
		if (rest === '' || rest.startsWith('/')) return {route, rest};
	}
	return undefined;
}

/** How one request was asked for, and where it went. */
export interface Place {
	readonly route: ServeRoute;
	readonly routes: readonly ServeRoute[];
	/** Where the request went. */
	readonly url: URL;
	/** Scheme and authority by which the client knows the proxy. */
	readonly self: string;
}

/** Rewrites `Location`, `Content-Location`, `Link`, `Refresh` and `Set-Cookie`. */
export function localForm(place: Place): Rewrite {
	return (name, value) => {
		switch (name) {
			case 'location':
			case 'content-location':
				return localUrl(value, place);
			case 'link':
				// The target of each link stands between angle brackets (RFC 8288 section 3).
				return value.replaceAll(/<([^>]*)>/g, (_whole, target: string) => `<${localUrl(target, place)}>`);
			case 'refresh':
				return value.replace(
					/(url\s*=\s*)(["']?)([^"']+)/i,
					(_whole, start: string, quote: string, target: string) =>
						`${start}${quote}${localUrl(target, place)}`,
				);
			case 'set-cookie':
				return localCookie(value, place);
			default:
				return value;
		}
	};
}

/** The way to a URL through the proxy; the URL as it was written, where no route leads there. */
export function localUrl(written: string, {route, routes, url, self}: Place): string {
	// A reference within the folder means the same to the client.
	if (written === '' || !/^(?:[a-z][a-z\d+.-]*:|\/)/i.test(written)) return written;
	const target = URL.parse(written, url.href);
	if (target === null) return written;
	for (const candidate of [route, ...routes]) {
		const {origin, pathname} = candidate.target;
		const base = pathname === '/' ? '' : pathname;
		const rest = target.pathname.slice(base.length);
		if (target.origin !== origin || !target.pathname.startsWith(base)) continue;
		if (rest !== '' && !rest.startsWith('/')) continue;
		const path = `${candidate.prefix}${rest}` || '/';
		return `${self}${path}${target.search}${target.hash}`;
	}
	// It would lead to another server of the client's own machine, if it was handed on without its host.
	return /^\//.test(written) ? target.href : written;
}

/** A cookie of the server becomes one of its route: for no other path, and no other host. */
function localCookie(value: string, {route, self}: Place): string {
	const isSecure = self.startsWith('https:');
	const base = route.target.pathname === '/' ? '' : route.target.pathname;
	const [pair = '', ...attributes] = value.split(';');
	const kept: string[] = [];
	let path = '';
	for (const attribute of attributes) {
		const [name = '', given = ''] = attribute.split(/=(.*)/s, 2).map(part => part.trim());
		const lower = name.toLowerCase();
		if (lower === 'domain') continue;
		// Over plain http to this machine, a client would not send it back.
		if (!isSecure && (lower === 'secure' || (lower === 'samesite' && /^none$/i.test(given)))) continue;
		if (lower === 'path') path = given;
		else kept.push(attribute);
	}
	const inside = path.startsWith(`${base}/`) || path === base ? path.slice(base.length) : '';
	kept.push(` Path=${`${route.prefix}${inside === '/' ? '' : inside}` || '/'}`);
	return [pair, ...kept].join(';');
}
