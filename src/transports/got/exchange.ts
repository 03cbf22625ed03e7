/**
 * Sends one hop as often as its conversation wants, and lets got see the last response only.
 *
 * got is given the first leg's request; see `held-back.ts` for what becomes of it. What the strategy added goes into
 * the request, not into its options: Node keeps the options of a request with its socket, which outlives it, and a
 * socket hangs on many an error.
 */
import {Agent, type ClientRequest, type RequestOptions} from 'node:http';
import process from 'node:process';
import type {ConnectionOptions as TlsConnectionOptions} from 'node:tls';
import {reportHop} from '../../hop/report.ts';
import {
	beginHop,
	type HeaderRecord,
	type Hop,
	type HopContext,
	type HopRequest,
	type Route,
} from '../../hop/request.ts';
import {setPath} from '../../http/sent-headers.ts';
import {explainTlsFailure} from '../../tls/explain.ts';
import {throughProxy} from '../tunnel/tunnel.ts';
import {addChanges} from './add-changes.ts';
import {EarlyLeg} from './early-leg.ts';
import {explainWrites} from './explained-writes.ts';
import {HeldBack} from './held-back.ts';

export type Send = (url: URL, options: RequestOptions) => ClientRequest | Promise<ClientRequest>;

const bodiless = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Send one hop by its route. Resolves with the request that got is to use. */
export async function exchange(
	route: Route,
	context: HopContext,
	url: URL,
	native: RequestOptions,
	body: unknown,
	send: Send,
): Promise<ClientRequest> {
	const {rule} = route;
	const explainUpload = (leg: ClientRequest): void => {
		// What has no body has no writes, and these are most requests.
		if (url.protocol !== 'https:' || (body === undefined && bodiless.has(native.method ?? 'GET'))) return;
		explainWrites(leg, error => explainTlsFailure(error, route.trust, context.shown, url));
	};
	if (rule === undefined) {
		const leg = await send(url, withTls(route, native, url));
		explainUpload(leg);
		return leg;
	}
	const report = reportHop(route, url, native.method ?? 'GET');
	const headers = {...(native.headers as Record<string, string | string[] | undefined>)};
	const makeLeg = (request: HopRequest): ClientRequest | Promise<ClientRequest> => {
		request.checkUrl(rule.info);
		context.shown = request.identity;
		const options = withTls(route, native, url, request);
		// With `Expect`, Node writes the head as soon as the request is made.
		const needsWhole = context.sender === 'caller' || native.headers === undefined || 'expect' in headers;
		return needsWhole
			? sendWhole(request, context, url, options, send)
			: sendPlain(request, url, options, send);
	};
	const early = new EarlyLeg(makeLeg);
	// A function of the caller's is shown the whole request, so nothing can be made of it before.
	if (context.sender !== 'caller') context.connect = (request, timeout) => early.open(request, timeout);
	let hop: Hop | undefined;
	try {
		const begun = await beginHop(rule, context, url, native.method ?? 'GET', headers);
		hop = begun;
		const sendLeg = (): ClientRequest | Promise<ClientRequest> => {
			report?.countLeg();
			return early.isOpen ? early.complete(begun.request) : makeLeg(begun.request);
		};
		context.signal?.throwIfAborted();
		const first = await sendLeg();
		// The caller's function may answer by itself; then nobody was shown a credential.
		if (typeof first.setHeader === 'function') {
			explainUpload(first);
			const onEnd = report && ((status: number | undefined) => report.end(status, begun.request));
			const heldBack = new HeldBack(begun, context, first, sendLeg, body, onEnd);
			early.beforeOpen = () => heldBack.drain();
			heldBack.begin();
		} else {
			await begun.run.end();
			report?.end((first as {statusCode?: number}).statusCode);
		}
		return first;
	} catch (error) {
		early.abandon();
		await hop?.run.end().catch(() => {});
		report?.end(undefined);
		throw error;
	}
}

/**
 * Make the request of one leg from got's options as they are, and give what the strategy changed to the request alone.
 * To copy the options, and to take the credential out of the copy, takes 2 to 5 % more of the processor's time.
 */
function sendPlain(
	request: HopRequest,
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
async function sendWhole(
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
function withTls(
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
