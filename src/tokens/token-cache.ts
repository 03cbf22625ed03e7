/**
 * Issued tokens: memory, then the store, then the issuer. The semantics stand at the `TokenCache` interface.
 *
 * A token is fetched once for all who want it: in the process they share one promise, across processes one of them
 * holds a lease and the others wait for what it puts into the store.
 */
import {randomUUID} from 'node:crypto';
import {setTimeout as delay} from 'node:timers/promises';
import {GatepassError, StrategyError, TokenCacheError, TokenRequestError} from '../errors.ts';
import {Events} from '../observability/events.ts';
import type {Token, TokenCache} from '../strategy/services.ts';
import {CircuitBreakerStore} from './circuit-breaker.ts';
import {isToken} from './is-token.ts';
import {once, settledWithin} from './single-flight.ts';
import {type RememberedToken, TokenMemory} from './token-memory.ts';
import type {Refusal, TokenStore} from './token-store.ts';

export interface TokenCacheSettings {
	/** Milliseconds for which one process may keep others from fetching. Default: 30,000. */
	readonly leaseDuration?: number;
	readonly events?: Events;
}

/** A renewal that failed is tried again after this, doubled with each failure, or after a quarter of what is left. */
const shortestRenewalPause = 1000;
const longestRenewalPause = 60_000;
/** Milliseconds that closing waits for issues under way to notice. */
const closingPatience = 2000;
/** How long those wait who look whether the holder of a lease has put a token into the store. */
const pollInterval = 50;

type Issue = (signal: AbortSignal) => Promise<Token>;

export class PersistentTokenCache implements TokenCache {
	readonly #memory = new TokenMemory();
	readonly #store: CircuitBreakerStore;
	readonly #events: Events;
	readonly #leaseDuration: number;
	/** Look-ups and issues under way: whoever comes later waits for the same one. */
	readonly #lookups = new Map<string, Promise<Token>>();
	readonly #issues = new Map<string, Promise<Token>>();
	/** Issuers that asked not to be asked again before a time. */
	readonly #refusals = new Map<string, Refusal>();
	readonly #closing = new AbortController();
	#closed: Promise<void> | undefined;

	constructor(store: TokenStore, {leaseDuration = 30_000, events = new Events()}: TokenCacheSettings = {}) {
		this.#events = events;
		this.#leaseDuration = leaseDuration;
		this.#store = new CircuitBreakerStore(store, error => events.publish('gatepass:token:error', {error}));
	}

	get(key: string, issue: Issue, options?: {fresh?: boolean}): Promise<Token> {
		if (options?.fresh === true) return once(this.#issues, key, () => this.#fetch(key, issue, false));
		const entry = this.#memory.get(key);
		if (entry !== undefined) {
			const now = Date.now();
			if (now < entry.usableUntil) {
				if (now >= entry.renewAfter) this.#renew(key, issue, entry, now);
				if (this.#events.isHeard('gatepass:token:hit'))
					this.#events.publish('gatepass:token:hit', {key, from: 'memory'});
				return entry.ready;
			}
		}
		return this.#lookUp(key, issue);
	}

	async peek(key: string): Promise<Token | undefined> {
		this.#closing.signal.throwIfAborted();
		const entry = this.#memory.get(key);
		if (entry !== undefined && Date.now() < entry.usableUntil) return entry.token;
		return this.#read(key);
	}

	async invalidate(key: string, token: Token): Promise<void> {
		this.#closing.signal.throwIfAborted();
		if (this.#memory.refuse(key, token)) this.#events.publish('gatepass:token:invalidate', {key});
		await this.#store.deleteIf(key, token);
	}

	async delete(key: string): Promise<void> {
		this.#closing.signal.throwIfAborted();
		this.#memory.delete(key);
		await this.#store.delete(key);
	}

	close(): Promise<void> {
		this.#closed ??= this.#close();
		return this.#closed;
	}

	async #close(): Promise<void> {
		this.#closing.abort(new TokenCacheError('The token cache is closed. Make requests before close()'));
		this.#memory.clear();
		await settledWithin(closingPatience, this.#issues.values());
		await this.#store.close();
	}

	#lookUp(key: string, issue: Issue): Promise<Token> {
		return once(this.#lookups, key, async () => {
			this.#closing.signal.throwIfAborted();
			const stored = await this.#read(key);
			if (stored === undefined) return this.#issue(key, issue);
			this.#events.publish('gatepass:token:hit', {key, from: 'store'});
			return stored;
		});
	}

	#issue(key: string, issue: Issue): Promise<Token> {
		return once(this.#issues, key, () => this.#issueUnderLease(key, issue, undefined));
	}

	/** Renew in the background. Whatever comes of it, the token at hand stays in use until its end. */
	#renew(key: string, issue: Issue, entry: RememberedToken, now: number): void {
		// Set first: until this renewal is through, nobody begins another.
		entry.renewAfter = entry.usableUntil;
		const renewal = once(this.#issues, key, () => this.#issueUnderLease(key, issue, entry.token));
		renewal.catch((error: unknown) => {
			entry.failures += 1;
			const pause = Math.min(
				longestRenewalPause,
				shortestRenewalPause * 2 ** (entry.failures - 1),
				(entry.usableUntil - now) / 4,
			);
			const asked = error instanceof TokenRequestError ? (error.retryAfter ?? 0) : 0;
			entry.renewAfter = Date.now() + Math.max(pause, asked);
		});
	}

	/**
	 * Fetch a token while holding the lease for its key, or take the one that another process has fetched meanwhile.
	 * `known`: the token that is to be renewed, which is no answer.
	 */
	async #issueUnderLease(key: string, issue: Issue, known: Token | undefined): Promise<Token> {
		const holder = randomUUID();
		// Longer than one holder may take; after that, two tokens are better than none.
		const deadline = Date.now() + 2 * this.#leaseDuration;
		while (this.#store.hasLeases && Date.now() < deadline) {
			const acquired = await this.#store.acquireLease(key, holder, this.#leaseDuration);
			if (acquired === undefined) break;
			const stored = await this.#read(key);
			const isNews = stored !== undefined && stored.value !== known?.value;
			if (acquired) {
				try {
					return isNews ? stored : await this.#fetch(key, issue, known !== undefined);
				} finally {
					await this.#store.releaseLease(key, holder);
				}
			}
			if (isNews) return stored;
			const {signal} = this.#closing;
			const pause = pollInterval * (0.5 + Math.random());
			await delay(pause, undefined, {signal, ref: known === undefined}).catch(() => signal.throwIfAborted());
		}
		return this.#fetch(key, issue, known !== undefined);
	}

	async #fetch(key: string, issue: Issue, isRenewal: boolean): Promise<Token> {
		const {signal} = this.#closing;
		signal.throwIfAborted();
		await this.#heedRefusal(key);
		const begun = Date.now();
		try {
			const token = checkToken(await issue(signal));
			// Who waits for it may have it, but it is too late to keep it.
			if (signal.aborted) return token;
			const duration = Date.now() - begun;
			const kept = this.#memory.rememberIssued(key, token, begun).token;
			const remaining = this.#memory.remaining(key, kept);
			if (remaining > 0) await this.#store.set(key, kept, remaining);
			const expiry = token.expiresAt === undefined ? {} : {expiresAt: token.expiresAt};
			this.#events.publish(isRenewal ? 'gatepass:token:refresh' : 'gatepass:token:issue', {
				key,
				duration,
				...expiry,
			});
			return token;
		} catch (error) {
			await this.#noteFailure(key, error, Date.now() - begun);
			throw error;
		}
	}

	/** Whoever was told to wait, here or in another process, does not ask again before. */
	async #heedRefusal(key: string): Promise<void> {
		const told = this.#refusals.get(key) ?? (await this.#store.getRefusal(key));
		if (told === undefined) return;
		const {until, message, ...details} = told;
		const retryAfter = until - Date.now();
		if (retryAfter <= 0) {
			this.#refusals.delete(key);
			return;
		}
		this.#refusals.set(key, told);
		throw new TokenRequestError(
			`${message} (It asked to be left alone for another ${Math.ceil(retryAfter / 1000)} s, so it was not asked again)`,
			{...details, retryAfter},
		);
	}

	async #noteFailure(key: string, error: unknown, duration: number): Promise<void> {
		if (error instanceof GatepassError) this.#events.publish('gatepass:token:error', {key, error, duration});
		if (!(error instanceof TokenRequestError) || !error.retryAfter) return;
		const {message, retryAfter, status, error: code, errorDescription} = error;
		const refusal: Refusal = {
			until: Date.now() + retryAfter,
			message,
			...(status !== undefined && {status}),
			...(code !== undefined && {error: code}),
			...(errorDescription !== undefined && {errorDescription}),
		};
		this.#refusals.set(key, refusal);
		await this.#store.setRefusal(key, refusal, retryAfter);
	}

	/** The valid token that the store has, or a better one that is in memory. */
	async #read(key: string): Promise<Token | undefined> {
		const stored = await this.#store.get(key);
		if (stored === undefined || this.#memory.isRefused(key, stored)) return undefined;
		const known = this.#memory.get(key);
		const isUsable = known !== undefined && Date.now() < known.usableUntil;
		// The very token that is in memory tells nothing new, and remembering it would put its renewal off.
		if (known?.token.value === stored.value) return isUsable ? known.token : undefined;
		const remaining = this.#memory.remaining(key, stored);
		if (isUsable && remaining <= this.#memory.remaining(key, known.token)) return known.token;
		if (remaining <= 0) return undefined;
		const {usableUntil, token} = this.#memory.remember(key, stored);
		return Date.now() < usableUntil ? token : undefined;
	}
}

function checkToken(token: Token): Token {
	if (!isToken(token)) {
		throw new StrategyError(
			'What the strategy issued is no token. It takes {value, type, expiresAt?}, with expiresAt in milliseconds',
		);
	}
	const {expiresAt, issuedAt = Date.now()} = token;
	if (expiresAt !== undefined && expiresAt <= issuedAt) {
		throw new StrategyError(
			'The strategy issued a token that has already expired. Its expiresAt is in milliseconds since 1970; leave it out where the issuer does not say',
		);
	}
	return token;
}
