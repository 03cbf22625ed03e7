/** Orders of certificates and their authorizations (RFC 8555 sections 7.4 and 7.5). */
import {setTimeout as pause} from 'node:timers/promises';
import {AcmeError} from '../../errors.ts';
import type {Account} from './account.ts';
import type {AcmeConnection, Answer} from './connection.ts';
import {inLanes} from './lanes.ts';
import {readProblem, refusal, waitAskedFor} from './problem.ts';

/** A name, or an address (RFC 8738). */
export interface Identifier {
	readonly type: 'dns' | 'ip';
	readonly value: string;
}

export interface Order {
	readonly url: string;
	readonly status: 'pending' | 'ready' | 'processing' | 'valid' | 'invalid' | 'deactivated';
	readonly identifiers: readonly Identifier[];
	readonly authorizations: readonly string[];
	readonly finalize: string;
	readonly certificate?: string;
	readonly profile?: string;
	readonly error?: unknown;
}

export interface Challenge {
	readonly type: string;
	readonly url: string;
	readonly status: 'pending' | 'processing' | 'valid' | 'invalid';
	/** Absent for kinds that have none. */
	readonly token?: string;
	/** Of `dns-persist-01`: what the server may be called in the record. */
	readonly 'issuer-domain-names'?: readonly string[];
	readonly error?: unknown;
}

export interface Authorization {
	readonly url: string;
	readonly identifier: Identifier;
	readonly status: 'pending' | 'valid' | 'invalid' | 'deactivated' | 'expired' | 'revoked';
	/** Whether it is for `*.` before the identifier; a name and its wildcard differ in this alone. */
	readonly wildcard?: boolean;
	readonly challenges: readonly Challenge[];
}

export interface OrderRequest {
	readonly identifiers: readonly Identifier[];
	readonly profile?: string | undefined;
	/** What the certificate is to succeed, by its identifier of RFC 9773. */
	readonly replaces?: string | undefined;
	/** Milliseconds since 1970. */
	readonly notAfter?: number | undefined;
}

/** Milliseconds until an order or authorization has to be decided. */
const longestDecision = 300_000;
/** Milliseconds between looks, where the server names no time: many decide at once, and some take minutes. */
const shortestPause = 5;
const longestPause = 15_000;
/** Requests under way at once, such as for the authorizations of an order with many names. */
const lanes = 6;

export class Orders {
	readonly #connection: AcmeConnection;
	readonly #account: Account;
	readonly #signal: AbortSignal | undefined;

	constructor(connection: AcmeConnection, account: Account, signal?: AbortSignal) {
		this.#connection = connection;
		this.#account = account;
		this.#signal = signal;
	}

	/** Order a certificate. Where a server does not take `replaces`, the order goes without it. */
	async create({identifiers, profile, replaces, notAfter}: OrderRequest): Promise<Order> {
		const {newOrder, meta} = await this.#connection.directory();
		if (profile !== undefined && meta.profiles !== undefined && !Object.hasOwn(meta.profiles, profile)) {
			throw new AcmeError(
				{
					code: 'acme-profile-unknown',
					what: `${this.#connection.place} offers no profile '${profile}'`,
					hint: `It offers ${Object.keys(meta.profiles).join(', ')}: 'gatepass cert profiles' shows what each is for`,
				},
				{type: 'invalidProfile'},
			);
		}
		const payload = {
			identifiers,
			...(profile !== undefined && {profile}),
			...(notAfter !== undefined && {notAfter: new Date(notAfter).toISOString().replace(/\.\d+Z$/, 'Z')}),
		};
		try {
			return this.#read(
				await this.#post(newOrder, {...payload, ...(replaces && {replaces})}, 'refused the order'),
			);
		} catch (error) {
			if (replaces === undefined || !isAboutPredecessor(error as AcmeError)) throw error;
			return this.#read(await this.#post(newOrder, payload, 'refused the order'));
		}
	}

	/** Look at an order that was begun before, such as by a process that died. */
	async resume(url: string): Promise<Order> {
		return this.#read(await this.#post(url, undefined, 'did not show the order'), url);
	}

	async authorizations({authorizations}: Order): Promise<Authorization[]> {
		return inLanes(authorizations, lanes, async url => {
			const {body} = await this.#post(url, undefined, 'did not show an authorization');
			return {...(body as Authorization), url};
		});
	}

	/** Do something about several authorizations, a few at a time. */
	async each<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
		await inLanes(items, lanes, work);
	}

	/** Say that a challenge can be looked at (RFC 8555 section 7.5.1). */
	async accept({url, type}: Challenge): Promise<void> {
		await this.#post(url, {}, `refused to look at the challenge ${type}`);
	}

	/**
	 * Wait until an authorization is decided.
	 *
	 * @throws {AcmeError} where it is not given; the server's reason is that of the challenge.
	 */
	async untilAuthorized(authorization: Authorization): Promise<Authorization> {
		const decided = await this.#poll(
			authorization.url,
			({body}) => (body as Authorization).status !== 'pending',
			`the authorization of ${authorization.identifier.value}`,
			// It has just been asked to look.
			shortestPause,
		);
		const found = {...(decided.body as Authorization), url: authorization.url};
		if (found.status === 'valid') return found;
		const failed = found.challenges?.find(({error}) => error !== undefined);
		throw refusal(
			this.#connection.place,
			`did not authorize ${nameOf(found)}`,
			readProblem(failed?.error ?? {type: found.status}),
		);
	}

	/** Give an authorization up, so that no half-done order counts against a limit. */
	async deactivate({url}: Authorization): Promise<void> {
		await this.#post(url, {status: 'deactivated'}, 'refused to deactivate the authorization');
	}

	/** Hand in the certificate request (DER) and wait for the certificate. */
	async finalize(order: Order, request: Uint8Array): Promise<Order> {
		const csr = Buffer.from(request).toString('base64url');
		const handIn = (): Promise<Answer> =>
			this.#post(order.finalize, {csr}, 'refused the certificate request');
		let first: Answer;
		try {
			first = await handIn();
		} catch (error) {
			if ((error as AcmeError).type !== 'orderNotReady') throw error;
			// All is proven, but the server has not seen to the order yet; or somebody finalized it before.
			const isSettled = ({body}: Answer): boolean => (body as Order).status !== 'pending';
			const settled = this.#read(await this.#poll(order.url, isSettled, 'the order'), order.url);
			if (settled.status !== 'ready') return this.untilIssued(settled);
			first = await handIn();
		}
		return this.untilIssued(this.#read(first, order.url), waitAskedFor(first.headers));
	}

	async untilIssued(order: Order, retryAfter?: number): Promise<Order> {
		if (order.status === 'valid') return order;
		const isDecided = ({body}: Answer): boolean =>
			!['pending', 'ready', 'processing'].includes((body as Order).status);
		const settled = isDecided({body: order} as Answer)
			? order
			: this.#read(await this.#poll(order.url, isDecided, 'the order', retryAfter), order.url);
		if (settled.status === 'valid') return settled;
		throw refusal(
			this.#connection.place,
			'did not issue the certificate',
			readProblem(settled.error ?? {type: settled.status}),
		);
	}

	/**
	 * The chains that the server offers, its own choice first: each the text of PEM certificates, the leaf first. Others are
	 * fetched until one is wanted.
	 */
	async chains({certificate}: Order, isWanted: (chain: string) => boolean): Promise<string[]> {
		if (certificate === undefined) {
			throw new AcmeError({
				code: 'acme-answer-unusable',
				what: `${this.#connection.place} issued a certificate, and did not say where it is`,
				hint: 'Ask whoever runs the authority',
			});
		}
		const [own, alternates] = await this.#chain(certificate);
		const chains = [own];
		for (const url of alternates.slice(0, 10)) {
			if (isWanted(chains.at(-1) as string)) break;
			chains.push((await this.#chain(url))[0]);
		}
		return chains;
	}

	async #chain(url: string): Promise<[chain: string, alternates: string[]]> {
		const {body, headers} = await this.#connection.post(url, undefined, this.#account, {
			what: 'did not hand out the certificate',
			signal: this.#signal,
			accept: 'application/pem-certificate-chain',
		});
		return [String(body), linksTo(headers.get('link') ?? '', 'alternate', url)];
	}

	#post(url: string, payload: unknown, what: string): Promise<Answer> {
		return this.#connection.post(url, payload, this.#account, {what, signal: this.#signal});
	}

	/** Look until it is so: as often as the server says, else less and less often. */
	async #poll(
		url: string,
		isDecided: (answer: Answer) => boolean,
		subject: string,
		firstWait?: number,
	): Promise<Answer> {
		const started = performance.now();
		let wait = firstWait ?? 0;
		for (let look = 0; ; look++) {
			if (wait > 0) await pause(wait, undefined, {signal: this.#signal});
			const answer = await this.#post(url, undefined, `did not show ${subject}`);
			if (isDecided(answer)) return answer;
			if (performance.now() - started > longestDecision) {
				throw new AcmeError({
					code: 'acme-order-undecided',
					what: `${this.#connection.place} has not decided about ${subject} within ${longestDecision / 1000} s`,
					hint: 'Run the same again later: the order goes on',
				});
			}
			const backoff = Math.min(shortestPause * 1.6 ** look, longestPause);
			// Some say 0, and mean nothing by it: nobody wants to be asked without a pause for minutes.
			wait = Math.min(Math.max(waitAskedFor(answer.headers) || backoff, shortestPause), longestPause);
		}
	}

	/** A server need not repeat where the order is (RFC 8555 section 7.4), so its address is kept. */
	#read({body, location}: Answer, known?: string): Order {
		const order = body as Partial<Order>;
		const url = known ?? location;
		if (
			url === undefined ||
			!URL.canParse(url) ||
			typeof order?.finalize !== 'string' ||
			!Array.isArray(order.authorizations)
		) {
			throw new AcmeError({
				code: 'acme-answer-unusable',
				what: `${this.#connection.place} answered with something that is no order`,
				hint: 'Ask whoever runs the authority',
			});
		}
		return {...(order as Order), url};
	}
}

/**
 * Whether a server may mind what is to be replaced, rather than the order: 409 where that was done before (RFC 9773
 * section 5), `unauthorized` where another account had ordered it, `malformed` and 5xx where it fits otherwise badly.
 */
function isAboutPredecessor({status = 0, type = ''}: AcmeError): boolean {
	return status === 409 || status >= 500 || ['malformed', 'unauthorized', 'alreadyReplaced'].includes(type);
}

/** The identifier as a person writes it. */
export function nameOf({identifier, wildcard}: Pick<Authorization, 'identifier' | 'wildcard'>): string {
	return wildcard === true ? `*.${identifier.value}` : identifier.value;
}

/** RFC 8288: the targets of a relation. */
function linksTo(header: string, relation: string, base: string): string[] {
	return [...header.matchAll(/<([^>]{1,2000})>([^<]*)/g)]
		.filter(([, , parameters = '']) =>
			new RegExp(`;\\s*rel="?${relation}"?\\s*(?:[;,]|$)`, 'i').test(parameters.trim()),
		)
		.map(([, target = '']) => new URL(target, base).href);
}
