/**
 * Issued tokens: memory, then the store, then the issuer. The semantics stand at the `TokenCache` interface.
 *
 * A token is fetched once for all who want it: in the process they share one promise, across processes one of them
 * holds a lease and the others wait for what it puts into the store.
 */
import {type KeyObject, randomUUID} from 'node:crypto';
import {setTimeout as delay} from 'node:timers/promises';
import {GatepassError, TokenCacheError, TokenRequestError} from '../errors.ts';
import {type EventName, type EventPayloads, Events} from '../observability/events.ts';
import type {Token, TokenCache} from '../strategy/services.ts';
import {boundedBackoff, IssuerBackoffs} from './backoffs.ts';
import {SingleFlight, unlessCalledOff, untilWanted} from './single-flight.ts';
import {steadyNow} from './steady-clock.ts';
import type {StorageOpener} from './storage.ts';
import type {StoredToken} from './stored-token.ts';
import {checkToken, type RememberedToken, TokenMemory} from './token-memory.ts';
import {type LeaseAnswer, TokenStore} from './token-store.ts';

export interface TokenCacheSettings {
	/** Milliseconds for which one process may keep others from fetching. Default: 30,000. */
	readonly leaseDuration?: number;
	/** What the store's entries are encrypted with: the first encrypts, all decrypt. None: they are kept as they are. */
	readonly keys?: readonly KeyObject[];
	readonly events?: Events;
}

/** A renewal that failed is tried again after this, doubled with each failure, or after a quarter of what is left. */
const shortestRenewalPause = 1000;
const longestRenewalPause = 60_000;
/** Milliseconds that closing waits for issues under way to notice. */
const closingPatience = 2000;
/** How long those wait who look whether the holder of a lease has put a token into the store. */
const pollInterval = 50;

/**
 * Milliseconds for which a look at the steady clock is good, by the machine's clock: less than those two may drift apart.
 */
const longestSureness = 1000;

type Issue = (signal: AbortSignal) => Promise<Token>;

/** A token that is to be fetched. */
interface Order {
	readonly key: string;
	readonly issue: Issue;
	/** The token that is to be renewed, which is no answer. */
	readonly known?: Token;
	/** Ends when the token is not wanted any more. */
	readonly signal: AbortSignal;
}

export class PersistentTokenCache implements TokenCache {
	readonly #memory = new TokenMemory();
	/** What is in memory, for the one look-up that every request makes. */
	readonly #remembered = this.#memory.entries;
	/** Absent: tokens are kept in memory only. */
	readonly #store: TokenStore | undefined;
	/** Absent: nobody can have asked to be left alone yet. */
	#backoffs: IssuerBackoffs | undefined;
	readonly #events: Events;
	readonly #leaseDuration: number;
	/** Look-ups and issues under way: whoever comes later waits for the same one. */
	readonly #lookups = new SingleFlight<Token>();
	readonly #issues = new SingleFlight<Token>();
	/** The last write to the store under way for a key: they go one after the other, and look-ups wait for them. */
	readonly #writes = new Map<string, Promise<void>>();
	readonly #closing = new AbortController();
	#closed: Promise<void> | undefined;

	constructor(
		storage: StorageOpener | undefined,
		{leaseDuration = 30_000, keys = [], events = new Events()}: TokenCacheSettings = {},
	) {
		this.#events = events;
		this.#leaseDuration = leaseDuration;
		const report = (error: TokenCacheError): void => events.publish('gatepass:token:error', {error});
		if (storage === undefined) return;
		this.#store = new TokenStore(storage, {keys, report});
		this.#backoffs = new IssuerBackoffs(this.#store);
	}

	get(key: string, issue: Issue, options?: {fresh?: boolean}): Promise<Token> {
		if (options?.fresh === true) {
			return untilWanted(() => this.#issues.run(key, signal => this.#fetch({key, issue, signal})));
		}
		const kept = this.#remembered.get(key);
		if (kept !== undefined) {
			kept.isUsed = true;
			const entry = kept.value;
			if (isSure(entry) || this.#isUsable(key, issue, entry)) {
				if (this.#events.audience['gatepass:token:hit'].hasSubscribers)
					this.#events.publish('gatepass:token:hit', {key, from: 'memory'});
				return entry.ready;
			}
		}
		return untilWanted(() => this.#lookups.run(key, signal => this.#lookUp({key, issue, signal})));
	}

	atHand(key: string): Token | undefined {
		const kept = this.#remembered.get(key);
		// After a refusal, the conversation looks the token up once more: whoever counts would hear of it twice.
		if (kept === undefined || this.#events.audience['gatepass:token:hit'].hasSubscribers) return undefined;
		kept.isUsed = true;
		const entry = kept.value;
		if (!isSure(entry)) {
			const now = steadyNow();
			if (now >= entry.usableUntil || now >= entry.renewAfter) return undefined;
			noteLook(entry, now);
		}
		return entry.token;
	}

	async peek(key: string): Promise<Token | undefined> {
		this.#closing.signal.throwIfAborted();
		const entry = this.#memory.get(key);
		if (entry !== undefined && steadyNow() < entry.usableUntil) return entry.token;
		return this.#readStore(key);
	}

	async invalidate(key: string, token: Token): Promise<void> {
		this.#closing.signal.throwIfAborted();
		if (this.#memory.isBraked(key, token)) return;
		if (this.#memory.refuse(key, token)) this.#publish('gatepass:token:invalidate', {key});
		await this.#store?.deleteIf(key, token);
	}

	async delete(key: string): Promise<void> {
		this.#closing.signal.throwIfAborted();
		// What is under way began before: its token is not kept, and those who wait for it get a newer one.
		this.#lookups.callOff(key);
		this.#issues.callOff(key);
		this.#memory.delete(key);
		this.#backoffs?.delete(key);
		await this.#write(key, store => store.delete(key));
	}

	/** A lease in the store for something else than a token. `undefined`: there is no store, or it cannot say. */
	async lease(name: string, holder: string, duration: number): Promise<LeaseAnswer> {
		return this.#store?.lease(name, holder, duration);
	}

	close(): Promise<void> {
		this.#closed ??= this.#close();
		return this.#closed;
	}

	async #close(): Promise<void> {
		const reason = new TokenCacheError({
			code: 'closed',
			what: 'The token cache is closed',
			hint: 'Make requests before close()',
		});
		this.#closing.abort(reason);
		this.#memory.clear();
		this.#backoffs?.clear();
		await this.#issues.end(reason, closingPatience);
		await this.#store?.close();
	}

	async #lookUp({key, issue, signal}: Order): Promise<Token> {
		this.#closing.signal.throwIfAborted();
		const stored = await this.#take(key, signal);
		if (stored === undefined) {
			return this.#issues.run(key, signal => this.#issueUnderLease({key, issue, signal}));
		}
		this.#publish('gatepass:token:hit', {key, from: 'store'});
		return stored;
	}

	/** By the steady clock, which is then good for a moment; a renewal that is due begins. */
	#isUsable(key: string, issue: Issue, entry: RememberedToken): boolean {
		const now = steadyNow();
		if (now >= entry.usableUntil) return false;
		if (now >= entry.renewAfter) this.#renew(key, issue, entry, now);
		noteLook(entry, now);
		return true;
	}

	/** Renew in the background. Whatever comes of it, the token at hand stays in use until its end. */
	#renew(key: string, issue: Issue, entry: RememberedToken, now: number): void {
		// Set first: until this renewal is through, nobody begins another.
		entry.renewAfter = entry.usableUntil;
		const known = entry.token;
		const renewal = this.#issues.run(key, signal => this.#issueUnderLease({key, issue, signal, known}));
		renewal.catch((error: unknown) => {
			entry.failures += 1;
			const pause = Math.min(
				longestRenewalPause,
				shortestRenewalPause * 2 ** (entry.failures - 1),
				(entry.usableUntil - now) / 4,
			);
			const asked = error instanceof TokenRequestError ? boundedBackoff(error.retryAfter ?? 0) : 0;
			entry.renewAfter = steadyNow() + Math.max(pause, asked);
			entry.sureFor = 0;
		});
	}

	/** Fetch a token while holding the lease for its key, or take the one that another process has fetched meanwhile. */
	async #issueUnderLease(order: Order): Promise<Token> {
		const {key, known, signal} = order;
		const store = this.#store;
		if (store === undefined) return this.#fetch(order);
		const holder = randomUUID();
		// Longer than one holder may take; after that, two tokens are better than none.
		const deadline = steadyNow() + 2 * this.#leaseDuration;
		while (steadyNow() < deadline) {
			const lease = await store.lease(key, holder, this.#leaseDuration);
			if (lease === undefined) break;
			const stored = await this.#take(key, signal);
			const isNews = stored !== undefined && stored.value !== known?.value;
			if (lease !== 'held') {
				try {
					return isNews ? stored : await this.#fetch(order);
				} finally {
					await lease.giveBack();
				}
			}
			if (isNews) return stored;
			const pause = pollInterval * (0.5 + Math.random());
			await delay(pause, undefined, {signal, ref: known === undefined}).catch(() => signal.throwIfAborted());
		}
		return this.#fetch(order);
	}

	async #fetch({key, issue, known, signal}: Order): Promise<Token> {
		this.#closing.signal.throwIfAborted();
		await this.#backoffs?.heed(key);
		signal.throwIfAborted();
		const begun = steadyNow();
		try {
			const token = checkToken(await unlessCalledOff(issue(signal), signal));
			// Who waits for it may have it, but it is too late to keep it.
			if (signal.aborted) return token;
			const duration = steadyNow() - begun;
			await this.#keep(key, this.#memory.rememberIssued(key, token, begun).token);
			this.#publish(known === undefined ? 'gatepass:token:issue' : 'gatepass:token:refresh', {
				key,
				duration,
				...(token.expiresAt !== undefined && {expiresAt: token.expiresAt}),
			});
			return token;
		} catch (error) {
			if (error instanceof GatepassError) {
				this.#publish('gatepass:token:error', {key, error, duration: steadyNow() - begun});
			}
			if (error instanceof TokenRequestError && !signal.aborted) {
				this.#backoffs ??= new IssuerBackoffs(this.#store);
				await this.#backoffs.note(key, error);
			}
			throw error;
		}
	}

	async #keep(key: string, token: StoredToken): Promise<void> {
		const remaining = this.#memory.remaining(key, token);
		if (remaining > 0) await this.#write(key, store => store.set(key, token, remaining));
	}

	/** The token that the store has, to be used from now on, or a better one that is in memory. */
	async #take(key: string, signal: AbortSignal): Promise<Token | undefined> {
		const stored = await this.#readStore(key);
		if (stored === undefined || signal.aborted) return undefined;
		const known = this.#memory.get(key);
		const isUsable = known !== undefined && steadyNow() < known.usableUntil;
		// The very token that is in memory tells nothing new, and remembering it would put its renewal off.
		if (known?.token.value === stored.value) return isUsable ? known.token : undefined;
		const remaining = this.#memory.remaining(key, stored);
		if (isUsable && remaining <= this.#memory.remaining(key, known.token)) return known.token;
		const {usableUntil, token} = this.#memory.remember(key, stored);
		return steadyNow() < usableUntil ? token : undefined;
	}

	/** The valid token that the store has, unless a server has refused it. */
	async #readStore(key: string): Promise<StoredToken | undefined> {
		if (this.#store === undefined) return undefined;
		await this.#writes.get(key);
		const stored = await this.#store.get(key);
		if (stored === undefined || this.#memory.isRefused(key, stored)) return undefined;
		return this.#memory.remaining(key, stored) > 0 ? stored : undefined;
	}

	async #write(key: string, write: (store: TokenStore) => Promise<void>): Promise<void> {
		const store = this.#store;
		if (store === undefined) return;
		const written = (this.#writes.get(key) ?? Promise.resolve()).then(() => write(store));
		const settled = written
			.catch(() => {})
			.then(() => {
				if (this.#writes.get(key) === settled) this.#writes.delete(key);
			});
		this.#writes.set(key, settled);
		await written;
	}

	/** Most of it is heard by nobody. */
	#publish<Name extends EventName>(name: Name, payload: EventPayloads[Name]): void {
		if (this.#events.audience[name].hasSubscribers) this.#events.publish(name, payload);
	}
}

/** Whether it was held against the steady clock a moment ago. */
function isSure({lookedAt, sureFor}: RememberedToken): boolean {
	const sinceLook = Date.now() - lookedAt;
	return sinceLook >= 0 && sinceLook < sureFor;
}

function noteLook(entry: RememberedToken, now: number): void {
	entry.lookedAt = Date.now();
	entry.sureFor = Math.min(longestSureness, entry.renewAfter - now);
}
