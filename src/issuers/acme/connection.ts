/**
 * Speaks with an ACME server (RFC 8555 section 6): its directory, its nonces, signed requests. What fails for a
 * passing reason is tried again within bounds, each time with a signature of its own.
 */
import {setTimeout as pause} from 'node:timers/promises';
import {AcmeError, GatepassError} from '../../errors.ts';
import {whatOf} from '../../reason.ts';
import type {AccountKey} from './jws.ts';
import {readProblem, refusal, waitAskedFor} from './problem.ts';

/** What a server offers, by the names of RFC 8555 section 7.1.1, RFC 9773 and the draft of profiles. */
export interface Directory {
	readonly newNonce: string;
	readonly newAccount: string;
	readonly newOrder: string;
	readonly revokeCert?: string;
	readonly keyChange?: string;
	readonly renewalInfo?: string;
	readonly meta: {
		readonly termsOfService?: string;
		readonly externalAccountRequired?: boolean;
		/** By name, with a sentence or an address for people. */
		readonly profiles?: Readonly<Record<string, string>>;
	};
}

/** A resource, and where it is. */
export interface Answer {
	readonly status: number;
	readonly headers: AnswerHeaders;
	/** The parsed JSON, or the text where it is none. */
	readonly body: unknown;
	readonly location: string | undefined;
}

/** What sends one request once, over the trust stores and proxies of the configuration. */
export interface AcmeHttp {
	fetch(
		url: string,
		init: {
			readonly method?: string;
			readonly headers: Readonly<Record<string, string>>;
			readonly body?: string;
			readonly signal: AbortSignal;
		},
	): Promise<{readonly status: number; readonly headers: AnswerHeaders; text(): Promise<string>}>;
}

/** By name, as `Headers` has them. */
export type AnswerHeaders = Pick<Headers, 'get'>;

/** Who signs: an account by its URL, or a key that stands for itself. */
export interface Signer {
	readonly key: AccountKey;
	readonly accountUrl?: string | undefined;
}

export interface ConnectionSettings {
	readonly directoryUrl: string;
	readonly http: AcmeHttp;
	readonly userAgent: string;
	/** Milliseconds for one request with all its tries. Default: 60,000. */
	readonly timeout?: number;
}

/** Servers in trouble are asked this many times. */
const mostTries = 5;
/** Refused nonces cost a round trip each. Test servers refuse nine of ten; the time limit holds all the same. */
const mostNonces = 200;
/** Milliseconds. A server that wants a longer pause within one request gets the request later, from the caller. */
const longestPause = 15_000;

export class AcmeConnection {
	/** For messages: the host of the directory. */
	readonly place: string;
	readonly #settings: ConnectionSettings;
	#directory: Promise<Directory> | undefined;
	/** Unused ones, the newest last. */
	readonly #nonces: string[] = [];

	constructor(settings: ConnectionSettings) {
		this.#settings = settings;
		this.place = new URL(settings.directoryUrl).host;
	}

	/** Fetched once; a failure is not kept. */
	async directory(): Promise<Directory> {
		this.#directory ??= this.#fetchDirectory().catch(error => {
			this.#directory = undefined;
			throw error;
		});
		return this.#directory;
	}

	/** Get ready while the caller does something else: the directory, and a nonce. Never rejects. */
	async prepare(): Promise<void> {
		try {
			this.#nonces.push(await this.#newNonce(AbortSignal.timeout(this.#settings.timeout ?? 60_000)));
		} catch {
			// Whoever sends something is told.
		}
	}

	/**
	 * Send a signed request.
	 *
	 * @param payload `undefined` asks for a resource (POST-as-GET, RFC 8555 section 6.3).
	 * @param what half a sentence for a refusal, such as `refused the order`.
	 * @throws {AcmeError} where the server refuses, or cannot be reached within the time limit.
	 */
	async post(
		url: string,
		payload: unknown,
		signer: Signer,
		{what, signal, accept}: {what: string; signal?: AbortSignal | undefined; accept?: string},
	): Promise<Answer> {
		const limit = AbortSignal.timeout(this.#settings.timeout ?? 60_000);
		const ended = signal === undefined ? limit : AbortSignal.any([signal, limit]);
		const text = payload === undefined ? '' : JSON.stringify(payload);
		const trouble = new Trouble(ended);
		let refusedNonces = 0;
		for (;;) {
			signal?.throwIfAborted();
			const nonce = this.#nonces.pop() ?? (await this.#newNonce(ended));
			const {key, accountUrl} = signer;
			const identity = accountUrl === undefined ? {jwk: key.jwk} : {kid: accountUrl};
			const body = JSON.stringify(key.sign({...identity, nonce, url}, text));
			const answer = await this.#send(url, ended, {
				method: 'POST',
				headers: {'content-type': 'application/jose+json', ...(accept !== undefined && {accept})},
				body,
			});
			if (answer.status < 400) return answer;
			const problem = readProblem(answer.body);
			if (problem.type === 'badNonce' && refusedNonces < mostNonces && !limit.aborted) {
				refusedNonces += 1;
				continue;
			}
			if (problem.type !== 'rateLimited' && (await trouble.hasPassed(answer))) continue;
			throw refusal(this.place, what, problem, {
				status: answer.status,
				retryAfter: waitAskedFor(answer.headers),
			});
		}
	}

	/** Ask for something that needs no signature, such as renewal information. */
	async get(url: string, signal?: AbortSignal): Promise<Answer> {
		const limit = AbortSignal.timeout(this.#settings.timeout ?? 60_000);
		return this.#unsigned(url, signal === undefined ? limit : AbortSignal.any([signal, limit]));
	}

	async #unsigned(url: string, signal: AbortSignal, method?: 'HEAD'): Promise<Answer> {
		const trouble = new Trouble(signal);
		for (;;) {
			const answer = await this.#send(url, signal, method === undefined ? {} : {method}, false);
			if (!(await trouble.hasPassed(answer))) return answer;
		}
	}

	async #fetchDirectory(): Promise<Directory> {
		const {directoryUrl} = this.#settings;
		const {status, body} = await this.get(directoryUrl);
		const found = body as Partial<Directory>;
		const isOne =
			status === 200 &&
			['newNonce', 'newAccount', 'newOrder'].every(name => isUrl(found?.[name as 'newNonce']));
		if (!isOne) {
			throw new AcmeError(
				{
					code: 'acme-answer-unusable',
					what: `${directoryUrl} is no ACME directory (it answered ${status})`,
					hint: "Name the directory's own address, as the authority documents it",
				},
				{status},
			);
		}
		return {...(found as Directory), meta: found.meta ?? {}};
	}

	async #newNonce(signal: AbortSignal): Promise<string> {
		const {newNonce} = await this.directory();
		// By GET, the connection stays: Node closes it after an answer to HEAD that does not say how long it would be.
		let {headers, status} = await this.#unsigned(newNonce, signal);
		// Both have to be there (RFC 8555 section 7.2), and most clients ask by HEAD.
		if (headers.get('replay-nonce') === null) {
			({headers, status} = await this.#unsigned(newNonce, signal, 'HEAD'));
		}
		const nonce = headers.get('replay-nonce');
		if (nonce === null) {
			throw new AcmeError(
				{
					code: 'acme-answer-unusable',
					what: `${this.place} gave no nonce (it answered ${status})`,
					hint: 'Ask whoever runs the authority',
				},
				{status},
			);
		}
		return nonce;
	}

	/** Each answer may bring the nonce of the next request (RFC 8555 section 6.5). */
	async #send(
		url: string,
		signal: AbortSignal,
		init: {method?: string; headers?: Record<string, string>; body?: string},
		keepsNonce = true,
	): Promise<Answer> {
		const {http, userAgent} = this.#settings;
		const headers = {'user-agent': userAgent, 'accept-language': 'en', ...init.headers};
		try {
			const answer = await readAnswer(await http.fetch(url, {...init, headers, signal}));
			const nonce = answer.headers.get('replay-nonce');
			// What could not stand in a header of ours is nobody's nonce (RFC 8555 section 6.5.1).
			if (keepsNonce && nonce !== null && /^[\w-]{1,1024}$/.test(nonce)) this.#nonces.push(nonce);
			if (this.#nonces.length > 100) this.#nonces.shift();
			return answer;
		} catch (error) {
			const known = error instanceof GatepassError ? (error.diagnostics[0]?.hint ?? '') : '';
			throw new AcmeError(
				{
					code: 'acme-unreachable',
					what: `${this.place} cannot be reached: ${whatOf(error)}`,
					hint:
						known === '' ? "Check the address, the network and, under 'trust', the CA of the server" : known,
				},
				{},
				{cause: error},
			);
		}
	}
}

/** A server that fails for a passing reason is asked again, after what it names or longer and longer pauses. */
class Trouble {
	readonly #ended: AbortSignal;
	#failures = 0;

	constructor(ended: AbortSignal) {
		this.#ended = ended;
	}

	/** Whether to send again, once the pause is over. */
	async hasPassed({status, headers}: Answer): Promise<boolean> {
		if (status < 500) return false;
		this.#failures += 1;
		const wait = Math.max(waitAskedFor(headers) ?? 0, 250 * 2 ** this.#failures);
		if (this.#failures >= mostTries || wait > longestPause) return false;
		await pause(wait, undefined, {signal: this.#ended}).catch(() => {});
		return !this.#ended.aborted;
	}
}

async function readAnswer(response: Awaited<ReturnType<AcmeHttp['fetch']>>): Promise<Answer> {
	const text = await response.text();
	const type = response.headers.get('content-type') ?? '';
	let body: unknown = text;
	if (/[/+]json\b/.test(type)) {
		try {
			body = JSON.parse(text);
		} catch {
			// Left as text: whoever wants an object says what is wrong.
		}
	}
	const {status, headers} = response;
	return {status, headers, body, location: headers.get('location') ?? undefined};
}

function isUrl(value: unknown): value is string {
	return typeof value === 'string' && URL.canParse(value);
}
