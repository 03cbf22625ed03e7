/** The ways to send a request through gatepass, under one interface: for tests of what holds whoever sends. */
import dns from 'node:dns';
import http from 'node:http';
import https from 'node:https';
import {text} from 'node:stream/consumers';
import type {Response as GotResponse, OptionsInit} from 'got';
import {interceptors, request} from 'undici';
import type {FlowLeg, Gatepass, GatepassContext} from '../../src/index.ts';

export interface Sent {
	readonly method?: 'GET' | 'POST';
	readonly headers?: Record<string, string>;
	readonly body?: string;
	readonly signal?: AbortSignal;
	readonly gatepass?: GatepassContext;
}

export interface Received {
	readonly status: number;
	readonly body: string;
	/** What the client gives its user. */
	readonly response: unknown;
}

export interface TestClient {
	readonly name: 'got' | 'fetch' | 'undici.request' | 'flow';
	/** Follows up to ten redirects. */
	send(gatepass: Gatepass, url: string, sent?: Sent): Promise<Received>;
}

const mostRedirects = 10;
const dropsBody: readonly number[] = [301, 302, 303];

const viaGot: TestClient = {
	name: 'got',
	async send(gatepass, url, {gatepass: setting, ...sent} = {}) {
		const options: OptionsInit = {...sent, maxRedirects: mostRedirects, throwHttpErrors: false};
		if (setting !== undefined) options.context = {gatepass: setting};
		const response = (await gatepass.got(url, options)) as GotResponse;
		return {status: response.statusCode, body: String(response.body), response};
	},
};

const viaFetch: TestClient = {
	name: 'fetch',
	async send(gatepass, url, sent) {
		const response = await gatepass.fetch(url, sent);
		return {status: response.status, body: await response.text(), response};
	},
};

const viaUndici: TestClient = {
	name: 'undici.request',
	async send(gatepass, url, sent) {
		const redirect = interceptors.redirect({maxRedirections: mostRedirects, throwOnMaxRedirect: true});
		const response = await request(url, {dispatcher: gatepass.dispatcher.compose(redirect), ...sent});
		return {status: response.statusCode, body: await response.body.text(), response};
	},
};

/** Node's own client, told what to send leg by leg. It follows redirects as fetch does. */
const viaFlow: TestClient = {
	name: 'flow',
	async send(gatepass, url, {signal, gatepass: setting, ...sent} = {}) {
		let at = new URL(url);
		let {method = 'GET', body, headers = {}} = sent;
		for (let hops = 0; hops <= mostRedirects; hops += 1) {
			const response = await sendByFlow(gatepass, at, {method, headers, body, signal}, setting);
			const {statusCode: status = 0} = response;
			const {location} = response.headers;
			if (location === undefined || status < 300 || status > 399) {
				return {status, body: await text(response), response};
			}
			response.resume();
			const to = new URL(location, at);
			if (to.origin !== at.origin) {
				const {cookie: _, authorization: __, 'proxy-authorization': ___, ...others} = headers;
				headers = others;
			}
			if (dropsBody.includes(status) && method === 'POST') {
				method = 'GET';
				body = undefined;
			}
			at = to;
		}
		throw new Error('Too many redirects');
	},
};

interface Hop {
	readonly method: string;
	readonly headers: Record<string, string>;
	readonly body: string | undefined;
	readonly signal: AbortSignal | undefined;
}

async function sendByFlow(
	gatepass: Gatepass,
	url: URL,
	hop: Hop,
	setting: GatepassContext | undefined,
): Promise<http.IncomingMessage> {
	const {method, body, signal} = hop;
	const options = {
		method,
		body,
		...(setting !== undefined && {gatepass: setting}),
		...(signal !== undefined && {signal}),
	};
	await using flow = await gatepass.flow(url, options);
	let leg: FlowLeg | undefined = flow;
	for (;;) {
		const response = await sendLeg(leg, hop);
		leg = await flow.next(response);
		if (leg === undefined) return response;
		response.resume();
	}
}

function sendLeg(leg: FlowLeg, {method, headers, body, signal}: Hop): Promise<http.IncomingMessage> {
	const url = new URL(leg.url);
	return new Promise((resolve, reject) => {
		const options = {
			method,
			headers: {...headers, ...leg.headers},
			...(signal !== undefined && {signal}),
			// Without a pool: Node's would have to tell identities apart.
			agent: false,
			auth: '',
		};
		const sent =
			url.protocol === 'https:' ? https.request(url, {...options, ...leg.tls}) : http.request(url, options);
		sent.on('response', resolve).on('error', reject).end(body);
	});
}

export const clients: readonly TestClient[] = [viaGot, viaFetch, viaUndici, viaFlow];

/** Have names below `localhost` resolved for all clients: not every machine does so by itself. Gives what takes it back. */
export function resolveLocally(): () => void {
	const {lookup} = dns;
	const local = (hostname: string, options: unknown, callback: unknown): unknown => {
		const name = hostname.endsWith('.localhost') ? '127.0.0.1' : hostname;
		return (lookup as (...parameters: unknown[]) => unknown)(name, options, callback);
	};
	dns.lookup = Object.assign(local, {__promisify__: lookup.__promisify__}) as typeof lookup;
	return () => {
		dns.lookup = lookup;
	};
}
