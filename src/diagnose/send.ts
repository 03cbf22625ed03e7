/** Sends the legs of the request that is looked at, over connections of their own, and keeps what came of each. */
import {type Agent, type IncomingMessage, request as requestHttp} from 'node:http';
import {request as requestHttps} from 'node:https';
import {HopRequest} from '../hop/request.ts';
import {type Leg, runHop, type Transport} from '../hop/run.ts';
import {readAhead} from '../http/read-ahead.ts';
import {OwnedAgents} from '../tls/isolated-agents.ts';
import {scrubRequest} from '../tls/requests-apart.ts';
import {throughProxy} from '../transports/tunnel/tunnel.ts';
import type {Subject} from './stage.ts';

/** Milliseconds for one leg. */
const patience = 20_000;
/** Bytes of an answer's body that are looked at. */
const mostOfBody = 64 * 1024;

/** The answer to one leg. */
export interface SentLeg extends Leg {
	readonly status: number;
	/** Milliseconds. */
	readonly duration: number;
	readonly headers: IncomingMessage['headers'];
	/** Its beginning, as text. */
	body(): Promise<string>;
}

/** What became of the request. */
export interface Sent {
	readonly request: HopRequest;
	readonly answer: SentLeg;
	readonly legs: readonly SentLeg[];
	close(): void;
}

/** @throws what the strategy throws, or what the connection fails with. */
export async function sendRequest(subject: Subject, signal: AbortSignal): Promise<Sent> {
	const {url, method, rule, known} = subject;
	const agents = new OwnedAgents();
	const legs: SentLeg[] = [];
	const context = {
		fresh: false,
		replayable: true,
		signal,
		// The certificate is known from the handshake; connections of one server have the same.
		connect: async () =>
			known.serverCertificate === undefined
				? {}
				: {serverCertificate: new Uint8Array(known.serverCertificate.raw)},
	};
	const request = new HopRequest(
		url,
		method,
		{'user-agent': 'gatepass-doctor', accept: '*/*'},
		context,
		rule?.info,
	);
	const transport: Transport<HopRequest, SentLeg> = {
		async send(leg) {
			known.identity = leg.identity ?? known.identity;
			const sent = await sendLeg(leg, subject, agents, signal);
			legs.push(sent);
			return sent;
		},
	};
	const close = (): void => agents.close();
	try {
		const answer = await (rule === undefined ? transport.send(request) : runHop(rule, request, transport));
		return {request, answer, legs, close};
	} catch (error) {
		close();
		throw error;
	}
}

function sendLeg(
	{method, headers, target, identity, proxy, connectionOwner = ''}: HopRequest,
	{url, rule, route, way}: Subject,
	agents: OwnedAgents,
	signal: AbortSignal,
): Promise<SentLeg> {
	const isSecure = url.protocol === 'https:';
	const owned = agents.for(agents, connectionOwner, url, identity, route?.trust, {
		way: proxy === undefined ? way : undefined,
	});
	const server = proxy === undefined && !isSecure ? way?.proxyFor(url) : undefined;
	if (server?.authorization !== undefined) headers.set('proxy-authorization', server.authorization);
	const agent = proxy === undefined || rule === undefined ? owned : throughProxy(owned, proxy, rule.info);
	// RFC 9112 section 3.2.2: a proxy is asked for the whole URL.
	const path = (proxy ?? server) !== undefined && !isSecure ? target.href : target.pathname + target.search;
	const begun = performance.now();
	const send = isSecure ? requestHttps : requestHttp;
	return new Promise((resolve, reject) => {
		const sent = send(target, {
			method,
			path,
			headers: headers.asSent(),
			signal: AbortSignal.any([signal, AbortSignal.timeout(patience)]),
			agent: agent as Agent,
		});
		sent.once('error', error => {
			scrubRequest(sent);
			reject(error);
		});
		sent.once('response', response => {
			scrubRequest(sent);
			resolve(answerOf(response, performance.now() - begun));
		});
		sent.end();
	});
}

function answerOf(response: IncomingMessage, duration: number): SentLeg {
	const {statusCode: status = 0, headers} = response;
	response.on('error', () => {});
	let content = response;
	return {
		status,
		duration,
		headers,
		response: {status, headers, body: undefined, withhold() {}},
		async readBody(most) {
			const read = await readAhead(response, most);
			content = read.content;
			return read.bytes;
		},
		async discard() {
			content.resume();
		},
		async body() {
			const chunks: Buffer[] = [];
			let size = 0;
			for await (const chunk of content as AsyncIterable<Buffer>) {
				chunks.push(chunk);
				size += chunk.length;
				if (size > mostOfBody) break;
			}
			return Buffer.concat(chunks).toString('utf8', 0, mostOfBody);
		},
	};
}
