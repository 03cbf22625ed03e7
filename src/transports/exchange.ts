/**
 * Sends one hop as often as its conversation wants, and lets got see the last response only.
 *
 * got is given the first leg's request; see `held-back.ts` for what becomes of it. What the strategy added is in
 * Node's hands only until the request is made from it: Node keeps the options of a request with its socket, which
 * outlives it, and a socket hangs on many an error.
 */
import {Agent, type ClientRequest, type RequestOptions} from 'node:http';
import {beginHop, type Hop, type HopContext, type HopPlan} from '../hop.ts';
import {HeldBack} from './held-back.ts';
import {setPath} from './sent-headers.ts';

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
	if (rule === undefined) return send(url, withTls(plan, native, url, undefined));
	const report = reporterOf(plan, url, native.method ?? 'GET');
	const headers = {...(native.headers as Record<string, string | string[] | undefined>)};
	const hop = await beginHop(rule, context, url, native.method ?? 'GET', headers);
	const sendLeg = async (): Promise<ClientRequest> => {
		report?.countLeg();
		const {request} = hop;
		request.checkUrl(rule.info);
		context.shown = request.identity;
		const options = withTls(plan, {...native, headers: {...request.headers.record}}, url, request.identity);
		return sendOne(hop, context, url, options, send);
	};
	try {
		context.signal?.throwIfAborted();
		const first = await sendLeg();
		// The caller's function may answer by itself; then nobody was shown a credential.
		if (typeof first.setHeader === 'function')
			new HeldBack(hop, context, first, sendLeg, body, report?.end).begin();
		else await hop.run.end();
		return first;
	} catch (error) {
		await hop.run.end().catch(() => {});
		report?.end(undefined);
		throw error;
	}
}

/** Tells how a hop went, where anybody listens. */
function reporterOf({events, rule}: HopPlan, url: URL, method: string): Reporter | undefined {
	if (!events.isHeard('gatepass:request') || rule === undefined) return undefined;
	const begun = performance.now();
	const {match, strategy, source} = rule.info;
	let legs = 0;
	return {
		countLeg() {
			legs += 1;
		},
		end(status) {
			events.publish('gatepass:request', {
				method,
				url: url.origin + url.pathname,
				rule: {match, strategy, source},
				...(status !== undefined && {status}),
				legs,
				duration: performance.now() - begun,
			});
		},
	};
}

interface Reporter {
	countLeg(): void;
	/** Once: with the status that is delivered, or without, where the hop failed. */
	end(status: number | undefined): void;
}

/** Make the request of one leg, and take the credential out of the options as soon as it is made. */
async function sendOne(
	{request}: Hop,
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
 * The agent of gatepass takes the place of the caller's where an identity asks for it. Where only a trust set does,
 * a certificate or agent of the caller's stays, and verifies against the trust set.
 */
function withTls(
	plan: HopPlan,
	native: RequestOptions,
	url: URL,
	identity: Parameters<HopPlan['agentFor']>[0],
): RequestOptions {
	if (url.protocol !== 'https:' || (identity === undefined && plan.trust === undefined)) return native;
	const {agent, cert, pfx} = native as RequestOptions & {cert?: unknown; pfx?: unknown};
	// For HTTP/2, got hands over its own pools, which are no agent of the caller's.
	if (identity === undefined && (agent instanceof Agent || (cert ?? pfx) !== undefined)) {
		return {...native, ca: plan.trust?.certificates()} as RequestOptions;
	}
	return {...native, agent: plan.agentFor(identity)};
}
