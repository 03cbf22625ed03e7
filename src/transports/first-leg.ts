/** What the first leg of a hop is to have, for a client that tells nobody what it is answered. */
import {HopRequest, type Route} from '../hop/request.ts';
import {runHop} from '../hop/run.ts';

/** Run a conversation up to its first leg, and end it there. Gives the request as its strategy wants it sent. */
export async function prepareFirstLeg(
	rule: NonNullable<Route['rule']>,
	url: URL,
	method: string,
	{fresh, tenant}: {readonly fresh: boolean; readonly tenant?: string | undefined},
): Promise<HopRequest> {
	const request = new HopRequest(url, method, {}, {fresh, tenant, replayable: true}, rule.info);
	const prepared = new Error('The first leg is ready');
	try {
		await runHop(rule, request, {send: () => Promise.reject(prepared)});
	} catch (error) {
		if (error !== prepared) throw error;
	}
	return request;
}
