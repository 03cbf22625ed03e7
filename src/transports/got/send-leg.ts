/** Makes the request of one leg from got's options, with the agent for its identity, trust store and proxy. */
import {Agent, type ClientRequest, type RequestOptions} from 'node:http';
import process from 'node:process';
import type {ConnectionOptions as TlsConnectionOptions} from 'node:tls';
import {type HeaderRecord, type HopContext, type HopRequest, type Route, spelled} from '../../hop/request.ts';
import {setPath} from '../../http/sent-headers.ts';
import {throughProxy} from '../tunnel/tunnel.ts';

export type Send = (url: URL, options: RequestOptions) => ClientRequest | Promise<ClientRequest>;

/**
 * Make the request of one leg from got's options as they are, and give what the strategy changed to the request alone.
 * To copy the options, and to take the credential out of the copy, takes 2 to 5 % more of the processor's time.
 */
export function sendPlain(
	request: HopRequest,
	_context: HopContext,
	url: URL,
	options: RequestOptions,
	send: Send,
): ClientRequest | Promise<ClientRequest> {
	const leg = send(url, options);
	return leg instanceof Promise ? leg.then(made => addChanges(made, request)) : addChanges(leg, request);
}

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
	if (request.addsQuery && sender !== 'caller') setPath(leg, target.pathname + target.search);
	return leg;
}

/**
 * The agent of gatepass takes the place of the caller's where an identity or an owner asks for it. Where only a trust store does,
 * a certificate or agent of the caller's stays, and verifies against the trust store.
 */
export function withTls(
	route: Route,
	native: RequestOptions,
	url: URL,
	{
		identity,
		connectionOwner,
		proxy,
	}: Partial<Pick<HopRequest, 'identity' | 'connectionOwner' | 'proxy'>> = {},
): RequestOptions {
	if (proxy !== undefined && route.rule !== undefined) {
		const owner = `${connectionOwner ?? ''} through ${proxy.url.origin}`;
		const agent = throughProxy(route.ownAgentFor(owner, url.protocol, identity), proxy, route.rule.info);
		// RFC 9112 section 3.2.2: a proxy is asked for the whole URL.
		return {
			...native,
			agent,
			...(url.protocol === 'http:' && {path: url.origin + url.pathname + url.search}),
		};
	}
	if (connectionOwner !== undefined) {
		return {...native, agent: route.ownAgentFor(connectionOwner, url.protocol, identity)};
	}
	if (url.protocol !== 'https:') return native;
	if (identity === undefined && route.trust === undefined) return verifying(native);
	const {agent, cert, pfx, checkServerIdentity} = native as RequestOptions & TlsConnectionOptions;
	// For HTTP/2, got hands over its own pools, which are no agent of the caller's.
	if (identity === undefined && (agent instanceof Agent || (cert ?? pfx) !== undefined)) {
		// On a session that is resumed, nothing would be checked.
		const whole = route.trust?.checksChains ? {session: null} : {};
		return {
			...verifying(native),
			...route.trust?.tlsOptions(checkServerIdentity),
			...whole,
		} as RequestOptions;
	}
	return {...native, agent: route.agentFor(identity)};
}

/**
 * The environment can switch verification off for the whole process; where a rule sends a credential, it is not heeded.
 * What the caller asks for one request holds for that one.
 */
function verifying(native: RequestOptions): RequestOptions {
	const {rejectUnauthorized} = native as TlsConnectionOptions;
	if (rejectUnauthorized !== undefined || process.env.NODE_TLS_REJECT_UNAUTHORIZED !== '0') return native;
	return {...native, rejectUnauthorized: true} as RequestOptions;
}

/** Gives a request that is made, and not sent yet, what the strategy changed. */
export function addChanges(leg: ClientRequest, {headers, target, addsQuery}: HopRequest): ClientRequest {
	try {
		for (const name of headers.changed) {
			const value = headers.record[name];
			if (value === undefined) leg.removeHeader(name);
			else leg.setHeader(spelled(name), value);
		}
	} catch (error) {
		// A value that cannot stand in a header. Nobody else knows of the request as yet.
		leg.on('error', () => {});
		leg.destroy();
		throw error;
	}
	if (addsQuery) setPath(leg, target.pathname + target.search);
	return leg;
}
