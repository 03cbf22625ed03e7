/** Sends a request of a strategy's own that another strategy authenticates: one hop over gatepass's own HTTP client. */
import type {AuthStrategy, HttpClient, OwnAnswer, OwnRequest, RuleInfo} from '../strategy/index.ts';
import {HopRequest} from './request.ts';
import {type Leg, runHop} from './run.ts';

interface Answer extends Leg {
	/** What the strategy lets be seen of it. */
	deliver(): Response;
}

export async function sendOwn(
	rule: {readonly info: RuleInfo; readonly strategy: AuthStrategy},
	http: HttpClient,
	{url, method = 'GET', headers = {}, body, tenant, signal}: OwnRequest,
): Promise<OwnAnswer> {
	const bytes = body === undefined ? undefined : Buffer.from(body);
	const context = {fresh: false, replayable: true, tenant, signal, readBody: async () => bytes};
	const request = new HopRequest(url, method, {...headers}, context, rule.info);
	const secrets: string[] = [];
	const send = async ({identity, target, headers}: HopRequest): Promise<Answer> => {
		for (const name of new Set(headers.changed)) secrets.push(...secretIn(headers.get(name)));
		const response = await http.fetch(target, {
			method,
			headers: headers.asSent() as Record<string, string>,
			...(body !== undefined && {body}),
			...(signal !== undefined && {signal}),
			...(identity !== undefined && {identity}),
		});
		return answerOf(response);
	};
	const answer = await runHop(rule, request, {send});
	return {response: answer.deliver(), secrets};
}

/** The client has read the body already. */
function answerOf(response: Response): Answer {
	const {status, headers} = response;
	let kept: readonly string[] | undefined;
	return {
		response: {
			status,
			headers: Object.fromEntries(headers),
			body: undefined,
			withhold(keepHeaders) {
				kept = keepHeaders;
			},
		},
		readBody: async () => new Uint8Array(await response.clone().arrayBuffer()),
		discard: () => response.body?.cancel(),
		deliver() {
			if (kept === undefined) return response;
			const names = kept;
			return new Response(null, {status, headers: [...headers].filter(([name]) => names.includes(name))});
		},
	};
}

/** A header's value without its scheme. */
function secretIn(value: string | undefined): readonly string[] {
	return value === undefined ? [] : [value.replace(/^\S+ /, '')];
}
