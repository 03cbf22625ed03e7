/**
 * HTTP for ACME servers: one try a request, over `node:https`. Neither got nor the platform's `fetch` is loaded for it, which
 * takes longer than a whole order does.
 */
import type {ClientRequest, IncomingMessage} from 'node:http';
import {isLoopback} from '../strategy/hosts.ts';
import type {TlsAgents} from '../tls/agents.ts';
import {mostResends, reachedNobody} from '../tls/idle-connections.ts';
import {Ways} from '../tls/ways.ts';
import {PauseWatch} from '../tokens/steady-clock.ts';
import type {TrustLookup} from '../trust/no-trust-stores.ts';
import {bareFailure} from './bare-failure.ts';
import {sendBelow} from './below-got.ts';
import {largestBody, tooLarge, unpack} from './unpack.ts';

export interface DirectRequest {
	readonly method?: string;
	readonly headers?: Readonly<Record<string, string>>;
	readonly body?: string;
	readonly signal?: AbortSignal;
}

/** As much of the platform's `Response` as is needed here. */
export interface DirectAnswer {
	readonly status: number;
	readonly headers: {get(name: string): string | null};
	text(): Promise<string>;
}

export class DirectHttpClient {
	readonly #trust: TrustLookup;
	readonly #agents: TlsAgents;
	readonly #ways: Ways;
	readonly #timeout: number;

	/** @param settings `timeout`: milliseconds for a request. */
	constructor(trust: TrustLookup, agents: TlsAgents, {timeout}: {timeout: number}, ways = Ways.direct()) {
		this.#trust = trust;
		this.#agents = agents;
		this.#timeout = timeout;
		this.#ways = ways;
	}

	/** Redirects are not followed. Once more where it failed while this process stood still, as a laptop does. */
	async fetch(input: string, init: DirectRequest = {}): Promise<DirectAnswer> {
		const watch = new PauseWatch();
		const url = new URL(input);
		try {
			return await this.#fetch(url, init);
		} catch (error) {
			if (!watch.hasPaused() || init.signal?.aborted) throw bareFailure(error as Error, url);
			return await this.#fetch(url, init).catch(again => {
				throw bareFailure(again as Error, url);
			});
		} finally {
			watch.stop();
		}
	}

	async #fetch(url: URL, {method = 'GET', headers = {}, body, signal}: DirectRequest): Promise<DirectAnswer> {
		const isPlain = url.protocol === 'http:';
		const way = isPlain && isLoopback(url.hostname) ? undefined : this.#ways.for();
		const limit = AbortSignal.timeout(this.#timeout);
		const options = {
			method,
			agent: isPlain
				? this.#ways.plainAgentFor(url, way)
				: this.#agents.for(undefined, this.#trust.find(url), {way}),
			// Said aloud, since the environment could switch it off.
			rejectUnauthorized: true,
			signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
		};
		const send = sendBelow(
			{'accept-encoding': 'identity', ...headers},
			body,
			isPlain ? way?.proxyFor(url) : undefined,
		);
		const {answer, isFree} = await answerTo(() => send(url, options as never) as ClientRequest);
		// Node gives the connection back a moment after the last byte: a request before that would make another one.
		const [bytes] = await Promise.all([read(answer), isFree]);
		const content = unpack(bytes, answer.headers);
		return {
			status: answer.statusCode ?? 0,
			headers: {
				get(name) {
					const value = answer.headers[name.toLowerCase()];
					return value === undefined ? null : [value].flat().join(', ');
				},
			},
			text: async () => new TextDecoder().decode(content),
		};
	}
}

interface Answered {
	readonly answer: IncomingMessage;
	/** Resolves once the connection is free for the next request. */
	readonly isFree: Promise<void>;
}

/** Again where a kept connection turns out to be closed: the server has not seen the request. */
async function answerTo(send: () => ClientRequest, resends = 0): Promise<Answered> {
	const request = send();
	const isFree = new Promise<void>(resolve => request.once('close', resolve));
	try {
		const answer = await new Promise<IncomingMessage>((resolve, reject) => {
			request.once('response', resolve);
			request.once('error', reject);
			request.end();
		});
		return {answer, isFree};
	} catch (error) {
		if (resends === mostResends || !reachedNobody(request.socket, error as Error)) throw error;
		return answerTo(send, resends + 1);
	}
}

async function read(answer: IncomingMessage): Promise<Buffer> {
	const chunks: Buffer[] = [];
	let size = 0;
	for await (const chunk of answer) {
		size += (chunk as Buffer).length;
		if (size > largestBody) {
			answer.destroy();
			throw tooLarge();
		}
		chunks.push(chunk as Buffer);
	}
	return Buffer.concat(chunks);
}
