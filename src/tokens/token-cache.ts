/** Issued tokens: memory in front of a keyv store. The semantics stand at the `TokenCache` interface. */
import {channel} from 'node:diagnostics_channel';
import type {Keyv} from 'keyv';
import {StrategyError, TokenCacheError} from '../errors.ts';
import type {Token, TokenCache} from '../services.ts';

/** A token is not used in its last moments: it could end on its way to the server. */
const longestLeeway = 10_000;
/** How long a token is kept whose issuer does not say when it ends. A server that refuses it ends it sooner. */
const assumedLifetime = 3_600_000;
/** A renewal that failed is tried again after this, or after a quarter of what is left, if that is sooner. */
const longestRenewalPause = 30_000;

/** A token in memory. `ready` is made once, so that serving it allocates nothing. */
interface Entry {
	readonly token: Token;
	readonly ready: Promise<Token>;
	readonly usableUntil: number;
	renewAfter: number;
}

type Issue = (signal: AbortSignal) => Promise<Token>;

const errorChannel = channel('gatepass:token:error');

export class KeyvTokenCache implements TokenCache {
	readonly #store: Keyv<Token>;
	readonly #memory = new Map<string, Entry>();
	/** Look-ups and issues under way: whoever comes later waits for the same one. */
	readonly #lookups = new Map<string, Promise<Token>>();
	readonly #issues = new Map<string, Promise<Token>>();
	readonly #writes = new Set<Promise<unknown>>();
	readonly #closing = new AbortController();
	#sweepAbove = 1000;

	constructor(store: Keyv<Token>) {
		this.#store = store;
	}

	get(key: string, issue: Issue, options?: {fresh?: boolean}): Promise<Token> {
		if (options?.fresh === true) return this.#issue(key, issue);
		const entry = this.#memory.get(key);
		if (entry !== undefined) {
			const now = Date.now();
			if (now < entry.usableUntil) {
				if (now >= entry.renewAfter) this.#renew(key, issue, entry, now);
				return entry.ready;
			}
		}
		return this.#lookUp(key, issue);
	}

	async peek(key: string): Promise<Token | undefined> {
		const entry = this.#memory.get(key);
		if (entry !== undefined && Date.now() < entry.usableUntil) return entry.token;
		return this.#read(key);
	}

	async invalidate(key: string, token: Token): Promise<void> {
		if (this.#memory.get(key)?.token.value === token.value) this.#memory.delete(key);
		const stored = await this.#read(key, {remember: false});
		if (stored?.value === token.value) await this.#write(() => this.#store.delete(key));
	}

	async delete(key: string): Promise<void> {
		this.#memory.delete(key);
		await this.#write(() => this.#store.delete(key));
	}

	async close(): Promise<void> {
		if (this.#closing.signal.aborted) return;
		this.#closing.abort(new TokenCacheError('The token cache is closed. Make requests before close()'));
		await Promise.allSettled(this.#writes);
		this.#memory.clear();
		await this.#store.disconnect();
	}

	#lookUp(key: string, issue: Issue): Promise<Token> {
		return once(this.#lookups, key, async () => {
			const stored = await this.#read(key);
			return stored ?? this.#issue(key, issue);
		});
	}

	#issue(key: string, issue: Issue): Promise<Token> {
		return once(this.#issues, key, async () => {
			const {signal} = this.#closing;
			signal.throwIfAborted();
			const token = checkToken(await issue(signal));
			const lifetime = (token.expiresAt ?? Date.now() + assumedLifetime) - Date.now();
			if (lifetime > 0) {
				this.#remember(key, token);
				// Not waited for: a slow store delays nobody. `close` waits.
				void this.#write(() => this.#store.set(key, token, lifetime));
			}
			return token;
		});
	}

	#renew(key: string, issue: Issue, entry: Entry, now: number): void {
		entry.renewAfter = now + Math.min(longestRenewalPause, (entry.usableUntil - now) / 4);
		this.#issue(key, issue).catch(error =>
			this.#report('renewing a token failed; the valid one stays in use', error),
		);
	}

	#remember(key: string, token: Token): void {
		const now = Date.now();
		const remaining = (token.expiresAt ?? now + assumedLifetime) - now;
		this.#memory.set(key, {
			token,
			ready: Promise.resolve(token),
			usableUntil: now + remaining - Math.min(longestLeeway, remaining / 10),
			renewAfter: now + remaining * 0.8,
		});
		if (this.#memory.size > this.#sweepAbove) this.#sweep(now);
	}

	/** Forget tokens that have ended; without this, keys that are asked for once would stay for ever. */
	#sweep(now: number): void {
		for (const [key, {usableUntil}] of this.#memory) if (usableUntil <= now) this.#memory.delete(key);
		this.#sweepAbove = Math.max(1000, this.#memory.size * 2);
	}

	async #read(key: string, {remember = true} = {}): Promise<Token | undefined> {
		let stored: unknown;
		try {
			stored = await this.#store.get(key);
		} catch (error) {
			this.#report('reading from the token store failed', error);
			return undefined;
		}
		if (stored === undefined || stored === null) return undefined;
		if (!isToken(stored)) {
			this.#report('the token store holds something that is no token; it is passed over');
			return undefined;
		}
		const remaining = (stored.expiresAt ?? Number.POSITIVE_INFINITY) - Date.now();
		if (remaining <= Math.min(longestLeeway, remaining / 10)) return undefined;
		if (remember) this.#remember(key, stored);
		return stored;
	}

	async #write(operation: () => Promise<unknown>): Promise<void> {
		const write = (async () => operation())().catch(error =>
			this.#report('writing to the token store failed', error),
		);
		this.#writes.add(write);
		await write;
		this.#writes.delete(write);
	}

	#report(what: string, cause?: unknown): void {
		if (!errorChannel.hasSubscribers) return;
		errorChannel.publish({error: new TokenCacheError(`${what}. Run 'gatepass doctor'`, {cause})});
	}
}

/** Run `work` for the key unless it is running already; either way, what comes of it. */
function once<Result>(
	running: Map<string, Promise<Result>>,
	key: string,
	work: () => Promise<Result>,
): Promise<Result> {
	let promise = running.get(key);
	if (promise === undefined) {
		promise = work().finally(() => running.delete(key));
		running.set(key, promise);
	}
	return promise;
}

function checkToken(token: Token): Token {
	if (isToken(token)) return token;
	throw new StrategyError(
		'What the strategy issued is no token. It takes {value, type, expiresAt?}, with expiresAt in milliseconds',
	);
}

function isToken(value: unknown): value is Token {
	if (typeof value !== 'object' || value === null) return false;
	const {value: text, type, expiresAt} = value as Record<keyof Token, unknown>;
	return (
		typeof text === 'string' &&
		text !== '' &&
		(type === 'Bearer' || type === 'DPoP') &&
		(expiresAt === undefined || (typeof expiresAt === 'number' && Number.isFinite(expiresAt)))
	);
}
