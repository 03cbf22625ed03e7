/**
 * Who may use the proxy: whoever shows the secret, and no web page. A page can make a browser send requests to this
 * machine, under any name that it makes stand for it (DNS rebinding), so `Host` and `Origin` have to be the proxy's own.
 */
import type {IncomingMessage} from 'node:http';
import type {Duplex} from 'node:stream';
import {secretHeader} from './headers.ts';
import type {Problem} from './problem.ts';
import {hostMissing} from './request-target.ts';
import {Attempts, type Secret} from './secret.ts';

/** What is known of the place where the proxy listens. */
export interface Listening {
	/** As `Host` names it, lower case; `undefined`: a Unix socket, which no page can reach. */
	readonly hosts: ReadonlySet<string> | undefined;
	readonly scheme: 'http' | 'https';
}

/** What an admitted request may be. */
export interface Admitted {
	/** Lower-case names of the headers that showed the secret: they are not sent on. */
	readonly secrets: readonly string[];
}

export class Admission {
	readonly #secret: Secret | undefined;
	readonly #attempts = new Attempts();
	/** Connections on which a client is known without a secret. */
	readonly #known = new WeakSet<Duplex>();

	/** Without a secret every client that can connect is admitted. */
	constructor(secret: Secret | undefined) {
		this.#secret = secret;
	}

	/** The client of this connection has proven who it is: by its user, or when its tunnel was opened. */
	know(socket: Duplex): void {
		this.#known.add(socket);
	}

	/** A request to the proxy itself: a route, or one of its own pages. */
	admit(request: IncomingMessage, listening: Listening): Admitted | Problem {
		const page = refusePage(request, listening);
		if (page !== undefined) return page;
		const {authorization} = request.headers;
		const shown = request.headers[secretHeader];
		const secret = this.#secret;
		if (secret === undefined || this.#known.has(request.socket)) return {secrets: []};
		if (typeof shown === 'string' && secret.matches(shown)) return {secrets: [secretHeader]};
		if (secret.isIn(authorization)) return {secrets: ['authorization']};
		return this.#refuse(shown !== undefined || authorization !== undefined, 401);
	}

	/** A request to another server, in the forward form. */
	admitProxied(request: IncomingMessage): Admitted | Problem {
		const secret = this.#secret;
		const shown = request.headers['proxy-authorization'];
		if (secret === undefined || this.#known.has(request.socket) || secret.isIn(shown)) return {secrets: []};
		return this.#refuse(shown !== undefined, 407);
	}

	#refuse(wasShown: boolean, status: 401 | 407): Problem {
		const [header, challenge] =
			status === 407 ? ['Proxy-Authorization', 'proxy-authenticate'] : ['Authorization', 'www-authenticate'];
		if (wasShown && this.#attempts.note()) {
			return {
				status: 429,
				code: 'secret-wrong',
				detail: 'A wrong secret was shown too often',
				hint: 'Wait a minute; whoever shows the right one is served all the same',
				headers: {'retry-after': String(Attempts.period / 1000)},
			};
		}
		const where =
			status === 407
				? 'in the URL of the proxy, as http://gatepass:SECRET@HOST:PORT'
				: `as ${header}: Bearer SECRET, as X-Gatepass-Secret, or in the URL, as http://gatepass:SECRET@HOST:PORT/`;
		return {
			status,
			code: wasShown ? 'secret-wrong' : 'secret-missing',
			detail: wasShown
				? `${header} does not hold the secret of this proxy`
				: 'The secret of this proxy is missing',
			hint: `Show what 'gatepass serve' printed, or GATEPASS_SECRET, ${where}`,
			headers: {[challenge as string]: 'Basic realm="gatepass", charset="UTF-8"'},
		};
	}
}

export function isAdmitted(outcome: Admitted | Problem): outcome is Admitted {
	return 'secrets' in outcome;
}

function refusePage({headers}: IncomingMessage, {hosts, scheme}: Listening): Problem | undefined {
	if (hosts === undefined) return undefined;
	if (headers.host === undefined) return hostMissing;
	const host = headers.host.toLowerCase();
	if (!hosts.has(host)) {
		return {
			status: 421,
			code: 'host-unknown',
			detail: 'The header Host names another server than this proxy',
			hint: `Use it as ${scheme}://${[...hosts][0]}/`,
		};
	}
	const {origin, 'sec-fetch-site': site} = headers;
	const isForeign = origin !== undefined && origin !== `${scheme}://${host}`;
	// A browser says so of simple requests too, such as an image's, which have no Origin.
	const isFromPage = site !== undefined && site !== 'same-origin' && site !== 'none';
	if (!isForeign && !isFromPage) return undefined;
	return {
		status: 403,
		code: 'origin-foreign',
		detail: 'A web page of another origin made this request',
		hint: 'Ask from a program; pages may not use the credentials of this proxy',
	};
}
