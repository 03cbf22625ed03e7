/**
 * Proves requests to a proxy by the host rule that names it. The strategy knows nothing of proxies: it sees a request to
 * the proxy's own URL, its `Authorization` is sent as `Proxy-Authorization`, and a 407 is told to it as a 401.
 */
import type {AuthResponse} from '../strategy/index.ts';
import type {ProxyAnswer} from '../tls/way-out.ts';
import {HopRequest, type ProxyRule, type Route} from './request.ts';
import {type Leg, runHop} from './run.ts';

/** What is asked of the proxy. */
export interface Asked {
	/** Of the proxy. */
	readonly url: URL;
	readonly method: string;
	/** Whether it can be asked once more. */
	readonly replayable: boolean;
}

/**
 * Ask as often as the rule's strategy wants. Gives the answer that it accepts.
 *
 * @param attempt is given the value of `Proxy-Authorization`, where there is one.
 */
export async function converseWithProxy<Answer extends ProxyAnswer>(
	rule: ProxyRule,
	{url, method, replayable}: Asked,
	attempt: (authorization: string | undefined) => Promise<Answer>,
): Promise<Answer> {
	const request = new HopRequest(url, method, {}, {fresh: false, replayable}, rule.info);
	const {answer} = await runHop<HopRequest, Leg & {readonly answer: Answer}>(rule, request, {
		async send({headers}) {
			const answer = await attempt(headers.get('authorization'));
			const readBody = async (most: number) => answer.readBody?.(most);
			return {response: ofServer(answer.response), readBody, discard: () => answer.discard(), answer};
		},
	});
	return answer;
}

/** The same for a leg that carries the proof in a header of its own. `send` sends the request as it then is. */
export function sendThroughProxy<Answer extends ProxyAnswer>(
	{proxy, rule}: NonNullable<ReturnType<Route['proxyRuleFor']>>,
	{method, replayable, headers}: HopRequest,
	send: () => Promise<Answer>,
): Promise<Answer> {
	return converseWithProxy(rule, {url: proxy.url, method, replayable}, authorization => {
		// A ticket of the leg before is good for nothing.
		if (authorization === undefined) headers.delete('proxy-authorization');
		else headers.set('proxy-authorization', authorization);
		return send();
	});
}

/** The answer as the server that the proxy is would give it (RFC 9110 section 11.7). */
function ofServer({status, headers, body, withhold}: AuthResponse): AuthResponse {
	const {
		'proxy-authenticate': challenge,
		'proxy-authentication-info': info,
		'www-authenticate': _,
		'authentication-info': __,
		...others
	} = headers;
	return {
		// A 401 is the server's behind it, and no business of the proxy.
		status: status === 407 ? 401 : status === 401 ? 200 : status,
		headers: {
			...others,
			...(challenge !== undefined && {'www-authenticate': challenge}),
			...(info !== undefined && {'authentication-info': info}),
		},
		body,
		withhold,
	};
}
