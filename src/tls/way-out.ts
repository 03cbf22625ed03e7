/**
 * The way out to a server: directly, or through a proxy that the configuration or the environment names.
 *
 * Node's own agents heed the environment's variables where Node is told to; the agents of gatepass are others, so they
 * have to do it themselves: https through a tunnel (CONNECT, RFC 9110 section 9.3.6), http by asking for the whole URL
 * (RFC 9112 section 3.2.2).
 */

import {isIPv4} from 'node:net';
import type {Duplex} from 'node:stream';
import {GatepassError} from '../errors.ts';
import type {AuthResponse} from '../strategy/index.ts';
import type {Environment} from '../strategy/services.ts';
import {requestHttp} from './node-http.ts';
import {readRefusal} from './tunnel-refusal.ts';
import type {Destination, Way} from './verifying-agent.ts';

/** Milliseconds until a proxy has answered. */
const longestTunnel = 30_000;

/** A proxy, with the credential for it. */
export interface ProxyServer {
	/** Without user information. */
	readonly url: URL;
	/** The value of `Proxy-Authorization`. Secret. */
	readonly authorization?: string | undefined;
	/** Where it is named: for people. */
	readonly source: string;
}

/** What a proxy answers to one try. */
export interface ProxyAnswer {
	readonly response: AuthResponse;
	/** Read its body, up to so many bytes; `undefined`: it cannot be had. */
	readBody?(most: number): Promise<Uint8Array | undefined>;
	/** Nobody wants it. */
	discard(): void | Promise<void>;
}

/**
 * Asks a proxy as often as a host rule that names it wants, and gives the answer that counts; `undefined`: none names
 * it. `attempt` is given the value of `Proxy-Authorization`, a secret, where there is one.
 */
export type ProxyConversation = <Answer extends ProxyAnswer>(
	proxy: ProxyServer,
	method: string,
	attempt: (authorization: string | undefined) => Promise<Answer>,
) => Promise<Answer> | undefined;

/** Where a request goes. */
export type Target = Pick<URL, 'protocol' | 'hostname' | 'port'>;

/** What a configuration says: a URL, `environment`, `none`; nothing: the environment, where Node is told to heed it. */
export interface WaySettings {
	readonly setting: string | undefined;
	readonly environment: Environment;
	/** Where it is written. */
	readonly source?: string;
	/** Opens a verified connection to a proxy that speaks TLS. */
	readonly openTls: (url: URL) => Promise<Duplex>;
	/** Default: a proxy is shown what its URL holds. */
	readonly converse?: ProxyConversation | undefined;
}

interface TunnelAnswer extends ProxyAnswer {
	readonly socket: Duplex;
	readonly head: Buffer;
}

/** What all ways of one gatepass share. */
export type CommonSettings = Pick<WaySettings, 'environment' | 'openTls' | 'converse'>;

export class WayOut implements Way {
	/** Whether it says anything besides what Node does by itself. */
	readonly isSet: boolean;
	#fixed: ProxyServer | undefined;
	#variables: ProxyVariables | undefined;
	readonly #openTls: WaySettings['openTls'];
	readonly #converse: ProxyConversation | undefined;

	constructor({setting, environment, source = 'proxy', openTls, converse}: WaySettings) {
		this.isSet = setting !== undefined;
		this.#openTls = openTls;
		this.#converse = converse;
		if (setting === 'none') return;
		if (setting === undefined || setting === 'environment') {
			const isHeeded = setting === 'environment' || heedsEnvironment(environment);
			this.#variables = isHeeded ? new ProxyVariables(environment) : undefined;
		} else {
			this.#fixed = parseProxy(setting, source);
		}
	}

	/** One that these variables name. */
	static by(variables: ProxyVariables, settings: CommonSettings): WayOut {
		const way = new WayOut({...settings, setting: 'none'});
		way.#variables = variables;
		return way;
	}

	/** The proxy for a URL; `undefined`: none. */
	proxyFor(target: Target): ProxyServer | undefined {
		return this.#fixed ?? this.#variables?.proxyFor(target);
	}

	/** What the environment says, where it is heeded: for undici's own agent. */
	get variables():
		| Readonly<Record<'http_proxy' | 'https_proxy' | 'no_proxy', string | undefined>>
		| undefined {
		return this.#variables?.values;
	}

	/** All that it may lead through. */
	get proxies(): readonly ProxyServer[] {
		return this.#fixed === undefined ? (this.#variables?.proxies ?? []) : [this.#fixed];
	}

	/** A tunnel for TLS; `undefined`: directly. */
	open({host, port}: Destination): Promise<Duplex> | undefined {
		const hostname = host.includes(':') ? `[${host}]` : host;
		const proxy = this.proxyFor({protocol: 'https:', hostname, port: `${port}`});
		return proxy === undefined ? undefined : this.#openTunnel(proxy, `${hostname}:${port}`);
	}

	/** A connection to the proxy itself. */
	async connectTo({url}: ProxyServer): Promise<Duplex | undefined> {
		return url.protocol === 'https:' ? this.#openTls(url) : undefined;
	}

	async #openTunnel(proxy: ProxyServer, authority: string): Promise<Duplex> {
		const attempt = (authorization: string | undefined) =>
			this.#askForTunnel(proxy, authority, authorization);
		const conversation =
			proxy.authorization === undefined ? this.#converse?.(proxy, 'CONNECT', attempt) : undefined;
		const {response, socket, head} = await (conversation ?? attempt(proxy.authorization));
		if (response.status >= 200 && response.status < 300) {
			if (head.length > 0) socket.unshift(head);
			return socket;
		}
		socket.destroy();
		throw refusedBy(proxy, authority, response.status, conversation !== undefined);
	}

	/** Node hands over the connection with any answer to CONNECT, a refusal too, and reads no body. */
	async #askForTunnel(
		proxy: ProxyServer,
		authority: string,
		authorization: string | undefined,
	): Promise<TunnelAnswer> {
		const connection = await this.connectTo(proxy).catch(error => {
			throw unreachable(proxy, error);
		});
		return new Promise((resolve, reject) => {
			const request = requestHttp({
				...placeOf(proxy.url),
				...(connection === undefined ? {agent: false} : {createConnection: () => connection}),
				method: 'CONNECT',
				path: authority,
				headers: {host: authority, ...(authorization && {'proxy-authorization': authorization})},
				signal: AbortSignal.timeout(longestTunnel),
			});
			request.once('connect', ({statusCode: status = 0, headers}, socket, head) => {
				// Whoever uses it is told.
				socket.on('error', () => {});
				// Nobody sees a proxy's answer but the strategy.
				const response = {status, headers, body: undefined, withhold: () => {}};
				const readBody = (most: number) =>
					readRefusal({statusCode: status, headers}, {socket, head}, most, longestTunnel);
				resolve({response, readBody, socket, head, discard: () => void socket.destroy()});
			});
			request.on('error', error => reject(unreachable(proxy, error)));
			request.end();
		});
	}
}

/** Host and port of a server, as Node's `connect` takes them. */
export function placeOf({protocol, hostname, port}: URL): {host: string; port: number} {
	return {
		host: hostname.replace(/^\[(.*)\]$/, '$1'),
		port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
	};
}

/** Whether Node is told to heed the variables of proxies: by its own variable or by its option. */
function heedsEnvironment(environment: Environment): boolean {
	const options = [...process.execArgv, ...(environment.NODE_OPTIONS ?? '').split(/\s+/)];
	return environment.NODE_USE_ENV_PROXY === '1' || options.includes('--use-env-proxy');
}

/** The usual variables: those in lower case come first, as curl and Node have it. */
export class ProxyVariables {
	readonly #proxies: Readonly<Record<string, ProxyServer | undefined>>;
	readonly #exceptions: readonly string[];
	/** As they are. May hold passwords. */
	readonly values: Readonly<Record<'http_proxy' | 'https_proxy' | 'no_proxy', string | undefined>>;

	constructor(variables: Readonly<Record<string, string | undefined>>) {
		const proxyOf = (name: string): ProxyServer | undefined => {
			const found = [name, name.toUpperCase()].find(key => variables[key]);
			const value = found === undefined ? undefined : variables[found];
			// Those of other kinds are for other programs.
			return value === undefined || !/^https?:\/\//i.test(value) ? undefined : parseProxy(value, `$${found}`);
		};
		this.#proxies = {'http:': proxyOf('http_proxy'), 'https:': proxyOf('https_proxy')};
		const variable = (name: string): string | undefined => variables[name] || variables[name.toUpperCase()];
		this.values = {
			http_proxy: variable('http_proxy'),
			https_proxy: variable('https_proxy'),
			no_proxy: variable('no_proxy'),
		};
		const exceptions = variable('no_proxy') ?? '';
		this.#exceptions = exceptions
			.toLowerCase()
			.split(/[\s,]+/)
			.filter(Boolean);
	}

	get proxies(): readonly ProxyServer[] {
		return Object.values(this.#proxies).filter(proxy => proxy !== undefined);
	}

	proxyFor({protocol, hostname, port}: Target): ProxyServer | undefined {
		const proxy = this.#proxies[protocol];
		if (proxy === undefined) return undefined;
		const host = hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase();
		const withPort = `${hostname.toLowerCase()}:${port || (protocol === 'https:' ? 443 : 80)}`;
		return this.#exceptions.some(entry => isExcepted(entry, host, withPort)) ? undefined : proxy;
	}
}

/** As Node reads `NO_PROXY`: a name, with its port or without, `.suffix`, `*.suffix`, a range of addresses, or all. */
function isExcepted(entry: string, host: string, withPort: string): boolean {
	if (entry === '*' || entry === host || entry === withPort || entry === `[${host}]`) return true;
	const suffix = entry.replace(/^\*?\./, '');
	if (suffix !== entry) return host.endsWith(`.${suffix}`) || (entry[0] === '.' && host === suffix);
	const [from = '', to = ''] = entry.split('-');
	if (!isIPv4(host) || !isIPv4(from) || !isIPv4(to)) return false;
	return numberOf(from) <= numberOf(host) && numberOf(host) <= numberOf(to);
}

function numberOf(address: string): number {
	return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** @throws {GatepassError} for what is no proxy that can be used. */
export function parseProxy(text: string, source: string): ProxyServer {
	const url = URL.parse(text);
	if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === '') {
		throw new GatepassError({
			code: 'proxy-unusable',
			what: `${source} is no URL of a proxy that gatepass can use`,
			hint: "Write one such as http://proxy.example.org:3128, or 'environment' or 'none'",
		});
	}
	const {username, password} = url;
	const credential = `${decode(username)}:${decode(password)}`;
	const authorization =
		username === '' && password === '' ? undefined : `Basic ${Buffer.from(credential).toString('base64')}`;
	return {url: new URL(url.origin), authorization, source};
}

function decode(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		return text;
	}
}

function refusedBy(
	{url, authorization, source}: ProxyServer,
	authority: string,
	status: number,
	hasRule: boolean,
): Error {
	const name = `The proxy ${url.origin} (${source})`;
	if (status !== 407) {
		return new GatepassError({
			code: 'proxy-refused',
			what: `${name} opens no tunnel to ${authority}: it answered ${status}`,
			hint: "Ask whoever runs it, or have the server excepted: by NO_PROXY, or by 'proxy: none' in its rule",
		});
	}
	if (hasRule) {
		return new GatepassError({
			code: 'proxy-refused',
			what: `${name} does not take the credential of the host rule that names it (407)`,
			hint: `'gatepass explain -X CONNECT ${url.origin}' shows that rule`,
		});
	}
	return new GatepassError({
		code: 'proxy-refused',
		what:
			authorization === undefined
				? `${name} asks for a credential (407)`
				: `${name} does not take the user name and password given (407)`,
		hint: `Write the right ones into its URL, as in http://USER:PASSWORD@proxy.example.org:3128, or add a host rule with 'match: ${url.origin}', by which it gets a ticket or a token`,
	});
}

function unreachable({url, source}: ProxyServer, error: NodeJS.ErrnoException): Error {
	const why = error.name === 'AbortError' ? `it did not answer within ${longestTunnel} ms` : error.message;
	return new GatepassError(
		{
			code: 'proxy-unreachable',
			what: `The proxy ${url.origin} (${source}) cannot be reached: ${why}`,
			hint: "Check its URL, or set 'proxy: none' where none is needed",
		},
		{cause: Object.assign(new Error(error.message), {code: error.code})},
	);
}
