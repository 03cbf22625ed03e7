/** The options of a leg that is not sent as plainly as most: over TLS, through a proxy, with an agent of the caller's. */
import type {ClientRequest, RequestOptions} from 'node:http';
import {globalAgent} from 'node:https';
import {isIP} from 'node:net';
import {checkServerIdentity} from 'node:tls';
import type {HeaderRecord, HopContext, HopRequest, Route} from '../../hop/request.ts';
import {callersAgent, callersConnect} from '../../tls/callers-agents.ts';
import {HttpAgent} from '../../tls/node-http.ts';
import {throughProxy} from '../tunnel/tunnel.ts';

/** Makes a request from got's options. */
export type Send = (url: URL, options: RequestOptions) => ClientRequest | Promise<ClientRequest>;

/**
 * Make the request of one leg from complete options, and take the credential out of them as soon as it is made: for
 * a function of the caller's, which may need it all.
 */
export async function sendWhole(
	request: HopRequest,
	{sender}: HopContext,
	url: URL,
	options: RequestOptions,
	send: Send,
): Promise<ClientRequest> {
	const {target, headers} = request;
	const sent: HeaderRecord = {...headers.record};
	// The URL becomes part of Node's options, where a query that the strategy added must not be.
	const leg = await send(sender === 'caller' ? target : url, {...options, headers: sent});
	for (const name of headers.changed) delete sent[name];
	if (request.addsQuery && sender !== 'caller') setTarget(leg, target);
	return leg;
}

/**
 * The options of a leg with the agent of gatepass for its identity, trust store and way. It takes the place of the
 * caller's, of which only the client certificate, the limits and the way stay: see `tls/callers-agents.ts`.
 */
export function withTls(
	route: Route,
	native: RequestOptions,
	url: URL,
	wanted: Partial<Pick<HopRequest, 'identity' | 'connectionOwner' | 'proxy'>> = {},
): RequestOptions {
	const {identity, connectionOwner, proxy} = wanted;
	if (proxy !== undefined && route.rule !== undefined) {
		const owner = `${connectionOwner ?? ''} through ${proxy.url.origin}`;
		const agent = throughProxy(route.ownAgentFor(owner, url, identity, proxy), proxy, route.rule.info);
		return withAgent(agent, native, url, proxy);
	}
	if (connectionOwner !== undefined) {
		const agent = route.ownAgentFor(connectionOwner, url, identity);
		return withAgent(agent, native, url, route.proxyFor(url));
	}
	return url.protocol === 'https:'
		? overTls(route, native, url, identity)
		: overPlainHttp(route, native, url);
}

/** An agent of the caller's stays, unless plain http is safe only because it does not leave this machine. */
function overPlainHttp(route: Route, native: RequestOptions, url: URL): RequestOptions {
	const {agent, createConnection, socketPath} = native;
	const isCallers = agent instanceof HttpAgent || agent === false || createConnection !== undefined;
	if ((isCallers || socketPath != null) && !route.staysHere(url)) return native;
	const {lookup: _, ...others} = native;
	const isHere = route.staysHere(url) && socketPath == null;
	return withAgent(route.plainAgentFor(url), isHere ? others : native, url, route.proxyFor(url));
}

function overTls(
	route: Route,
	native: RequestOptions,
	url: URL,
	identity: HopRequest['identity'],
): RequestOptions {
	const {agent, createConnection} = native as {agent?: unknown; createConnection?: object};
	const ofHttp2 = isOfHttp2(agent) ? agent : undefined;
	const callersHttps = ofHttp2 === undefined ? agent : ofHttp2.https;
	if (route.rule === undefined && route.trust === undefined) {
		// Only the way out is said.
		const isCallers = Boolean(callersHttps) || createConnection !== undefined || ofHttp2 !== undefined;
		return isCallers ? native : withAgent(route.agentFor(undefined), native, url);
	}
	const needsNoAgent =
		ofHttp2 !== undefined &&
		!callersHttps &&
		createConnection === undefined &&
		identity === undefined &&
		route.trust === undefined &&
		route.proxyFor(url) === undefined &&
		isUsual(native as TlsOptions) &&
		!saysHowToVerify(globalAgent);
	const verified: RequestOptions & {h2session?: unknown} = {
		...native,
		...howVerified(native as TlsOptions, url),
	};
	verified.h2session = undefined;
	if (needsNoAgent) return verified;
	const callers =
		createConnection === undefined ? callersAgent(callersHttps) : callersConnect(createConnection);
	return withAgent(route.agentFor(identity, callers), verified, url);
}

function withAgent(
	agent: HttpAgent,
	native: RequestOptions,
	url: URL,
	proxy?: {readonly url: URL},
): RequestOptions {
	// RFC 9112 section 3.2.2: a proxy is asked for the whole URL.
	const isForProxy = proxy !== undefined && url.protocol === 'http:';
	return {
		...native,
		agent,
		createConnection: undefined,
		...(isForProxy && {path: url.origin + url.pathname + url.search}),
	} as RequestOptions;
}

interface TlsOptions {
	readonly rejectUnauthorized?: boolean;
	readonly servername?: string;
	readonly checkServerIdentity?: unknown;
	readonly ecdhCurve?: unknown;
}

/** What a caller allows one request is for a connection of its own; and a key on another curve ends Node's process. */
function isUsual({rejectUnauthorized, checkServerIdentity: own, ecdhCurve}: TlsOptions): boolean {
	return rejectUnauthorized !== false && (own === undefined || own === checkServerIdentity) && !ecdhCurve;
}

/** What the caller allowed this request for this origin holds; nobody else has a say. */
function howVerified({rejectUnauthorized = true, servername}: TlsOptions, url: URL): TlsOptions {
	return {rejectUnauthorized, servername: servername ?? serverNameOf(url)};
}

/** By the name in the URL, whatever `Host` says. RFC 6066 section 3: an address is no server name. */
function serverNameOf({hostname}: URL): string {
	return isIP(hostname.replace(/^\[(.*)\]$/, '$1')) === 0 ? hostname : '';
}

/** With HTTP/2, got hands over its own pools and the caller's agents in one object. */
function isOfHttp2(agent: unknown): agent is {https?: unknown; http2?: unknown} {
	return typeof agent === 'object' && agent !== null && 'http2' in agent;
}

function saysHowToVerify({options}: {options: object}): boolean {
	return ['rejectUnauthorized', 'ca', 'checkServerIdentity', 'servername', 'secureContext'].some(
		name => (options as Record<string, unknown>)[name] !== undefined,
	);
}

/** Give a request that is made, and not sent yet, another query than its URL has. */
export function setTarget(leg: ClientRequest, {origin, pathname, search}: URL): void {
	const {isGotHttp2Request, headers} = leg as {
		isGotHttp2Request?: boolean;
		headers?: Record<string, unknown>;
	};
	// A proxy is asked for the whole URL.
	const path = /^http:\/\//i.test(leg.path) ? origin + pathname + search : pathname + search;
	if (isGotHttp2Request === true && headers !== undefined) headers[':path'] = path;
	else leg.path = path;
}
