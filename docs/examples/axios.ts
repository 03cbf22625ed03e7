/** Requests by axios. */
import {createGatepass} from 'gatepass';

const gatepass = await createGatepass({config: 'other-clients.yaml'});

// #region axios
import {Agent} from 'node:https';
import axios, {type AxiosResponse} from 'axios';
import type {FlowLeg} from 'gatepass';

async function get(url: string): Promise<AxiosResponse> {
	await using flow = await gatepass.flow(url);
	for (let leg: FlowLeg = flow; ; ) {
		const response = await axios.get(leg.url, {
			headers: leg.headers,
			httpsAgent: new Agent(leg.tls),
			// Headers and certificate are for this URL and no other.
			maxRedirects: 0,
			// A refusal is an answer, too: the flow decides what becomes of it.
			validateStatus: () => true,
		});
		const next = await flow.next(response);
		if (next === undefined) return response;
		leg = next;
	}
}

const runs = await get('https://api.example.org/runs');
console.log(runs.status, runs.data);
const list = await get('https://files.example.org/list');
console.log(list.status, list.data);
// #endregion
await gatepass.close();
