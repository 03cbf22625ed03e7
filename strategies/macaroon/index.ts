/** `macaroon`: a storage macaroon of dCache or XRootD, which a certificate or a token is turned into. */
import {createHash, randomUUID} from 'node:crypto';
import {GatepassError, TokenRequestError} from '../../src/errors.ts';
import {
	type AuthRequest,
	type AuthStrategy,
	authStrategy,
	type Conversation,
	type CredentialStatus,
	inject,
	type OwnAnswer,
	type OwnRequest,
	RuleInfo,
	Strategies,
	StrategyOptions,
	type Token,
	TokenCache,
	tokenKey,
} from '../../src/strategy/index.ts';
import {claimsOf} from '../bearer/claims.ts';
import {type FirstShown, firstShown, unsentRequest} from '../bearer/nested-token.ts';
import {printable} from '../bearer/printable.ts';
import {type MacaroonOptions, macaroonOptions} from './options.ts';
import {readMacaroon} from './read-macaroon.ts';

/** Macaroons for more paths than this are not remembered for `forget`. */
const mostKeys = 10_000;

/** What the storage is asked for a macaroon by. */
type MacaroonRequest = OwnRequest & Required<Pick<OwnRequest, 'method' | 'body' | 'tenant'>>;

/**
 * Shows a macaroon, which the storage gives for one path, for the activities that are named, in exchange for what another
 * strategy shows. It is kept like a token; after a 401 it is dropped, fetched again, and the request sent once more.
 *
 * Fails as that strategy does, and with a `TokenRequestError` where the storage gives none.
 */
@authStrategy<typeof macaroonOptions>({name: 'macaroon', options: macaroonOptions, nested: () => [['of']]})
export class MacaroonStrategy implements AuthStrategy {
	readonly #options: MacaroonOptions;
	readonly #strategies: Strategies;
	readonly #nested: AuthStrategy;
	readonly #tokens: TokenCache;
	readonly #rule: RuleInfo;
	/** For a credential that does not say whose it is. */
	readonly #own = randomUUID();
	/** The keys of all macaroons that were used here. */
	readonly #keys = new Set<string>();

	constructor(
		@inject(StrategyOptions) options: MacaroonOptions,
		@inject(Strategies) strategies: Strategies,
		@inject(TokenCache) tokens: TokenCache,
		@inject(RuleInfo) rule: RuleInfo,
	) {
		this.#options = options;
		this.#strategies = strategies;
		this.#nested = strategies.build(options.of);
		this.#tokens = tokens;
		this.#rule = rule;
	}

	async *authenticate(request: AuthRequest): Conversation {
		const asked = this.#requestFor(request);
		const whose = this.#whoseIs(await this.#firstShown(asked));
		const key = this.#keyFor(asked, whose);
		// XRootD takes a connection for its user's from the first macaroon on.
		request.connectionOwner = whose;
		const issue = (signal: AbortSignal): Promise<Token> => this.#fetch(asked, signal);
		let token = await this.#tokens.get(key, issue, {fresh: request.fresh});
		for (let isLast = false; ; isLast = true) {
			request.headers.set('authorization', `Bearer ${token.value}`);
			const {status} = yield;
			if (status !== 401 || isLast) return;
			await this.#tokens.invalidate(key, token);
			if (!request.replayable) return;
			token = await this.#tokens.get(key, issue);
		}
	}

	async status(settings?: {verify?: boolean}): Promise<CredentialStatus> {
		const nested = await this.#nested.status?.(settings);
		const {activities, of} = this.#options;
		const detail = `macaroons for ${activities.join(', ')} by ${of.strategy}`;
		if (nested === undefined) return {available: true, detail};
		return {...nested, detail: `${detail}: ${nested.detail}`};
	}

	explain(): readonly string[] {
		return this.#nested.explain?.() ?? [];
	}

	async forget(): Promise<void> {
		for (const key of this.#keys) await this.#tokens.delete(key);
		this.#keys.clear();
		await this.#nested.forget?.();
	}

	/** dCache's form, which XRootD knows, too. */
	#requestFor({url, tenant}: AuthRequest): MacaroonRequest {
		const {activities, validity, path} = this.#options;
		const target = new URL(path ?? url.pathname, url.origin);
		return {
			url: target,
			method: 'POST',
			// XRootD 5.5 knows the header by this spelling alone.
			headers: {'Content-Type': 'application/macaroon-request', Accept: 'application/json'},
			body: JSON.stringify({
				caveats: [`activity:${activities.join(',')}`],
				validity: `PT${Math.floor(validity / 60_000)}M`,
			}),
			tenant,
		};
	}

	#keyFor({url, body, tenant}: MacaroonRequest, whose: string): string {
		const key = tokenKey({
			strategy: 'macaroon',
			tenant,
			storage: url.origin,
			path: url.pathname,
			body,
			whose,
		});
		this.#keys.delete(key);
		this.#keys.add(key);
		const [oldest] = this.#keys;
		if (this.#keys.size > mostKeys && oldest !== undefined) this.#keys.delete(oldest);
		return key;
	}

	/** A renewed token of the same subject gets the same macaroon. */
	#whoseIs({identity, authorization}: FirstShown): string {
		if (authorization === undefined) return identity?.thumbprint ?? this.#own;
		const {iss, sub, scope, aud} = claimsOf(authorization.replace(/^\S+ /, '')) ?? {};
		const told = typeof sub === 'string' ? JSON.stringify([iss, sub, scope, aud]) : authorization;
		return createHash('sha256')
			.update(JSON.stringify([told, identity?.thumbprint]))
			.digest('base64url');
	}

	async #fetch(asked: MacaroonRequest, signal: AbortSignal): Promise<Token> {
		const askedAt = Date.now();
		const {response, secrets} = await this.#send(asked, signal);
		const exchange = {url: asked.url, rule: this.#rule, secrets};
		return {...(await readMacaroon(response, askedAt + this.#options.validity, exchange)), type: 'Bearer'};
	}

	#firstShown(asked: MacaroonRequest): Promise<FirstShown> {
		const body = Buffer.from(asked.body);
		const request = unsentRequest(asked, false, new Headers(asked.headers));
		return firstShown(this.#nested, {...request, body, readBody: async () => body});
	}

	async #send(asked: MacaroonRequest, signal: AbortSignal): Promise<OwnAnswer> {
		try {
			return await this.#strategies.send(this.#nested, {...asked, signal});
		} catch (cause) {
			if (cause instanceof GatepassError) throw cause;
			const {url} = asked;
			const {match, source} = this.#rule;
			// From the HTTP client, whose errors hold neither headers nor body.
			throw new TokenRequestError(
				{
					code: 'token-request-failed',
					what: `The storage ${url.origin}${url.pathname} (rule for ${match}, ${source}) gave no answer: ${printable((cause as Error).message)}`,
					hint: 'Check the network, or try again',
				},
				{},
				{cause},
			);
		}
	}
}
