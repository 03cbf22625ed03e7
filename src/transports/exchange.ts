/**
 * Sends one hop as often as its conversation wants, and lets got see the last response only.
 *
 * got is given the first leg's request; see `held-back.ts` for what becomes of it. What the strategy added is in
 * Node's hands only until the request is made from it: Node keeps the options of a request with its socket, which
 * outlives it, and a socket hangs on many an error.
 */
import {Agent, type ClientRequest, type RequestOptions} from 'node:http';
import {beginHop, type HopContext, type HopPlan, type HopRequest} from '../hop.ts';
import {setPath} from '../http/sent-headers.ts';
import {EarlyLeg} from './early-leg.ts';
import {HeldBack} from './held-back.ts';
import {reportHop} from './hop-report.ts';

export type Send = (url: URL, options: RequestOptions) => ClientRequest | Promise<ClientRequest>;

/** Send one hop by its plan. Resolves with the request that got is to use. */
export async function exchange(
	plan: HopPlan,
	context: HopContext,
	url: URL,
	native: RequestOptions,
	body: unknown,
	send: Send,
): Promise<ClientRequest> {
	const {rule} = plan;
	if (rule === undefined) return send(url, withTls(plan, native, url));
	const report = reportHop(plan, url, native.method ?? 'GET');
	const headers = {...(native.headers as Record<string, string | string[] | undefined>)};
	const makeLeg = (request: HopRequest): Promise<ClientRequest> => {
		request.checkUrl(rule.info);
		context.shown = request.identity;
		const options = withTls(plan, {...native, headers: {...request.headers.record}}, url, request);
		return sendOne(request, context, url, options, send);
	};
	const early = new EarlyLeg(makeLeg);
	// A function of the caller's is shown the whole request, so nothing can be made of it before.
	const connect: HopContext['connect'] =
		context.sender === 'caller' ? undefined : (request, timeout) => early.open(request, timeout);
	const hop = await beginHop(rule, {...context, connect}, url, native.method ?? 'GET', headers).catch(
		error => {
			early.abandon();
			report?.end(undefined);
			throw error;
		},
	);
	const sendLeg = async (): Promise<ClientRequest> => {
		report?.countLeg();
		return early.isOpen ? early.complete(hop.request) : makeLeg(hop.request);
	};
	try {
		context.signal?.throwIfAborted();
		const first = await sendLeg();
		// The caller's function may answer by itself; then nobody was shown a credential.
		if (typeof first.setHeader === 'function') {
			const heldBack = new HeldBack(hop, context, first, sendLeg, body, report?.end);
			early.beforeOpen = () => heldBack.drain();
			heldBack.begin();
		} else {
			await hop.run.end();
			report?.end((first as {statusCode?: number}).statusCode);
		}
		return first;
	} catch (error) {
		early.abandon();
		await hop.run.end().catch(() => {});
		report?.end(undefined);
		throw error;
	}
}

/** Make the request of one leg, and take the credential out of the options as soon as it is made. */
async function sendOne(
	request: HopRequest,
	{sender}: HopContext,
	url: URL,
	options: RequestOptions,
	send: Send,
): Promise<ClientRequest> {
	const {target} = request;
	const addsQuery = target.search !== url.search;
	// The URL becomes part of Node's options; a function of the caller's may need it whole.
	const leg = await send(sender === 'caller' ? target : url, options);
	const sent = options.headers as Record<string, unknown>;
	for (const name of request.headers.changed) delete sent[name];
	if (addsQuery && sender !== 'caller') setPath(leg, target.pathname + target.search);
	return leg;
}

/**
 * The agent of gatepass takes the place of the caller's where an identity or an owner asks for it. Where only a trust set does,
 * a certificate or agent of the caller's stays, and verifies against the trust set.
 */
function withTls(
	plan: HopPlan,
	native: RequestOptions,
	url: URL,
	{identity, connectionOwner}: Partial<Pick<HopRequest, 'identity' | 'connectionOwner'>> = {},
): RequestOptions {
	if (connectionOwner !== undefined) {
		return {...native, agent: plan.ownAgentFor(connectionOwner, url.protocol, identity)};
	}
	if (url.protocol !== 'https:' || (identity === undefined && plan.trust === undefined)) return native;
	const {agent, cert, pfx} = native as RequestOptions & {cert?: unknown; pfx?: unknown};
	// For HTTP/2, got hands over its own pools, which are no agent of the caller's.
	if (identity === undefined && (agent instanceof Agent || (cert ?? pfx) !== undefined)) {
		return {...native, ca: plan.trust?.certificates()} as RequestOptions;
	}
	return {...native, agent: plan.agentFor(identity)};
}
