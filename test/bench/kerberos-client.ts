/** In a process of its own: gatepass with `kerberos`, making requests or contexts alone, as many as it is told. */
import {performance} from 'node:perf_hooks';
import {createGatepass, type Gatepass} from 'gatepass';
import {request} from 'undici';
import type {KoffiProvider} from '../../strategies/kerberos/koffi-provider.ts';
import {answerParent, childArgument, tellParent} from './child.ts';
import {loadPart} from './part.ts';
import type {BurstResult} from './token-client.ts';

export interface KerberosClientSettings {
	readonly url: string;
	readonly credentialCache: string;
}

export interface KerberosOrder {
	/** `contexts`: tokens without requests. */
	readonly does: 'after a challenge' | 'preemptively' | 'contexts';
	readonly requests: number;
	/** How many of them are under way at once. */
	readonly atOnce: number;
	/** Each over a connection of its own. */
	readonly cold: boolean;
	/** What sends. Default: `gatepass.got`. */
	readonly by?: 'got' | 'dispatcher';
}

const library = 'mit';
const {url, credentialCache} = childArgument<KerberosClientSettings>();
const {KoffiProvider: Provider} = await loadPart<{KoffiProvider: typeof KoffiProvider}>(
	'strategies/kerberos/koffi-provider.ts',
);
const provider = new Provider({
	library,
	source: {credentialCache},
	timeout: 30_000,
	rule: 'the bench',
});
const [waiting, preemptive] = await Promise.all([gatepassWith(false), gatepassWith(true)]);

function gatepassWith(isPreemptive: boolean): Promise<Gatepass> {
	const options = {library, credentialCache, preemptive: isPreemptive};
	return createGatepass({
		config: {
			cache: {url: 'memory:'},
			hostRules: [{match: new URL(url).origin, strategy: 'kerberos', options}],
		},
	});
}

async function beginContext(): Promise<void> {
	const context = await provider.createContext({
		target: `HTTP@${new URL(url).hostname}`,
		canonicalizeHostname: false,
		mechanism: 'spnego',
		mutualAuthentication: true,
		delegate: false,
		channelBindings: undefined,
		renew: false,
	});
	context.dispose();
}

answerParent(async ({does, requests, atOnce, cold, by = 'got'}: KerberosOrder): Promise<BurstResult> => {
	const {got, dispatcher} = does === 'preemptively' ? preemptive : waiting;
	const options = cold ? {headers: {connection: 'close'}} : {};
	const bySending = {
		got: () => got(url, options),
		dispatcher: async () => {
			const {statusCode, body} = await request(url, {dispatcher, ...options});
			await body.dump();
			if (statusCode !== 200) throw new Error(`The server answered ${statusCode}`);
		},
	};
	const call = does === 'contexts' ? beginContext : bySending[by];
	let left = requests;
	const callUntilNoneIsLeft = async (): Promise<void> => {
		while (left > 0) {
			left -= 1;
			await call();
		}
	};
	const cpuBefore = process.cpuUsage();
	const start = performance.now();
	await Promise.all(Array.from({length: atOnce}, callUntilNoneIsLeft));
	const milliseconds = performance.now() - start;
	const {user, system} = process.cpuUsage(cpuBefore);
	return {rate: (requests / milliseconds) * 1000, cpu: (user + system) / requests};
});
tellParent('ready');
