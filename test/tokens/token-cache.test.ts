/** The token cache, sentence by sentence as its interface states it, with a clock of the tests' own. */
import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import {Keyv} from 'keyv';
import {afterEach, beforeEach, describe, expect, onTestFinished, test, vi} from 'vitest';
import {StrategyError, TokenCacheError, TokenRequestError} from '../../src/errors.ts';
import type {Token} from '../../src/strategy/services.ts';
import type {Storage, StorageOpener} from '../../src/tokens/storage.ts';
import {KeyvStorage} from '../../src/tokens/stores/keyv-storage.ts';
import {PersistentTokenCache} from '../../src/tokens/token-cache.ts';
import {TokenStore} from '../../src/tokens/token-store.ts';

const minute = 60_000;
const hour = 60 * minute;

beforeEach(() => {
	vi.useFakeTimers({now: 1_800_000_000_000});
});
afterEach(() => {
	vi.useRealTimers();
});

/** An issuer that numbers its tokens. */
function issuer(lifetime: number | undefined = hour) {
	let count = 0;
	return vi.fn(async (_signal: AbortSignal): Promise<Token> => {
		count += 1;
		const expiry = lifetime === undefined ? {} : {expiresAt: Date.now() + lifetime};
		return {value: `token-${count}`, type: 'Bearer', ...expiry};
	});
}

/** An issue that ends when the test says so. */
function pendingIssue() {
	const {promise, resolve, reject} = Promise.withResolvers<Token>();
	return {issue: vi.fn(async (_signal: AbortSignal) => promise), resolve, reject};
}

const token = (value: string, lifetime = hour): Token => ({
	value,
	type: 'Bearer',
	expiresAt: Date.now() + lifetime,
});

/** A storage whose every call does what the test says, and is counted. */
function storageWith(calls: Partial<Storage> = {}, inner: Storage = new KeyvStorage(new Map())) {
	return {
		get: vi.fn(calls.get ?? (name => inner.get(name))),
		set: vi.fn(calls.set ?? ((name, text, lifetime) => inner.set(name, text, lifetime))),
		delete: vi.fn(calls.delete ?? (name => inner.delete(name))),
		compareAndDelete: vi.fn(calls.compareAndDelete ?? ((name, text) => inner.compareAndDelete(name, text))),
		disconnect: vi.fn(calls.disconnect ?? (async () => {})),
	} satisfies Storage;
}

function cacheOver(storage: Storage = new KeyvStorage(new Map())): PersistentTokenCache {
	const cache = new PersistentTokenCache(openerOf(storage));
	onTestFinished(() => cache.close());
	return cache;
}

/** Tokens in a storage, as another process reads and writes them. */
const tokensIn = (storage: Storage) => new TokenStore(openerOf(storage));

const openerOf = (storage: Storage): StorageOpener => ({open: async () => storage});

/** What is published about failures while the test runs. */
function reports(): {key?: string; error: Error}[] {
	const found: {key?: string; error: Error}[] = [];
	const listen = (message: unknown) => found.push(message as {error: Error});
	subscribe('gatepass:token:error', listen);
	onTestFinished(() => void unsubscribe('gatepass:token:error', listen));
	return found;
}

describe('get', () => {
	test('serves a valid token from memory, without touching the store', async () => {
		const storage = storageWith();
		const cache = cacheOver(storage);
		const issue = issuer();
		const first = await cache.get('key', issue);
		storage.get.mockClear();
		storage.set.mockClear();
		for (let i = 0; i < 100; i++) expect(await cache.get('key', issue)).toBe(first);
		expect(issue).toHaveBeenCalledTimes(1);
		expect(storage.get).not.toHaveBeenCalled();
		expect(storage.set).not.toHaveBeenCalled();
	});

	test('serves what another cache has put into the store', async () => {
		const storage = new KeyvStorage(new Map());
		await cacheOver(storage).get('key', issuer());
		const issue = issuer();
		expect((await cacheOver(storage).get('key', issue)).value).toBe('token-1');
		expect(issue).not.toHaveBeenCalled();
	});

	test('lets all calls for a key wait for one issue, and those for others not', async () => {
		const cache = cacheOver();
		const {issue, resolve} = pendingIssue();
		const calls = Array.from({length: 100}, () => cache.get('key', issue));
		expect((await cache.get('other', issuer())).value).toBe('token-1');
		resolve(token('one'));
		const tokens = await Promise.all(calls);
		expect(new Set(tokens.map(({value}) => value))).toEqual(new Set(['one']));
		expect(issue).toHaveBeenCalledTimes(1);
	});

	test('rejects all that wait with what the issue throws, and tries again at the next call', async () => {
		const cache = cacheOver();
		const {issue, reject} = pendingIssue();
		const calls = Array.from({length: 10}, () => cache.get('key', issue));
		const failure = new Error('no token');
		reject(failure);
		const results = await Promise.allSettled(calls);
		for (const result of results) expect(result).toEqual({status: 'rejected', reason: failure});
		expect(issue).toHaveBeenCalledTimes(1);
		await expect(cache.get('key', issuer())).resolves.toMatchObject({value: 'token-1'});
	});

	test('rejects where the issue throws at once', async () => {
		const cache = cacheOver();
		const issue = () => {
			throw new RangeError('at once');
		};
		await expect(cache.get('key', issue)).rejects.toThrow(RangeError);
	});

	test('with fresh passes the cache over, once, and keeps the new token', async () => {
		const storage = new KeyvStorage(new Map());
		const cache = cacheOver(storage);
		const issue = issuer();
		await cache.get('key', issue);
		expect((await cache.get('key', issue, {fresh: true})).value).toBe('token-2');
		expect((await cache.get('key', issue)).value).toBe('token-2');
		expect((await cacheOver(storage).get('key', issue)).value).toBe('token-2');
	});

	test.each<[string, unknown]>([
		['nothing', undefined],
		['null', null],
		['a string', 'token'],
		['no value', {type: 'Bearer'}],
		['an empty value', {value: '', type: 'Bearer'}],
		['another type', {value: 'x', type: 'Mac'}],
		['a date for a time', {value: 'x', type: 'Bearer', expiresAt: new Date()}],
		['NaN for a time', {value: 'x', type: 'Bearer', expiresAt: Number.NaN}],
		['a token that has expired', {value: 'secret-x', type: 'Bearer', expiresAt: 1_800_000_000_000}],
	])('refuses %s from an issue, and keeps nothing of it', async (_, issued) => {
		const cache = cacheOver();
		const error = await cache.get('key', async () => issued as Token).catch(error => error);
		expect(error).toBeInstanceOf(StrategyError);
		expect(error.message).not.toContain('secret-x');
		expect(await cache.peek('key')).toBeUndefined();
	});
});

describe('the end of a token', () => {
	test.each([1000, minute, hour, 24 * hour])('that lives %i ms is never passed', async lifetime => {
		const cache = cacheOver();
		const issue = issuer(lifetime);
		const step = lifetime / 50;
		for (let elapsed = 0; elapsed < 3 * lifetime; elapsed += step) {
			const {expiresAt} = await cache.get('key', issue);
			expect(expiresAt).toBeGreaterThan(Date.now());
			await vi.advanceTimersByTimeAsync(step);
		}
		expect(issue.mock.calls.length).toBeGreaterThan(2);
	});

	test('is kept away from: in its last seconds a token is not used any more', async () => {
		const cache = cacheOver();
		await cache.get('key', async () => token('old'));
		vi.setSystemTime(Date.now() + hour - 5000);
		expect((await cache.get('key', async () => token('new'))).value).toBe('new');
	});

	test('is not passed either by what the store holds', async () => {
		const storage = new KeyvStorage(new Map());
		await cacheOver(storage).get('key', issuer());
		vi.setSystemTime(Date.now() + hour);
		const cache = cacheOver(storage);
		expect(await cache.peek('key')).toBeUndefined();
		const issue = issuer();
		await cache.get('key', issue);
		expect(issue).toHaveBeenCalledTimes(1);
	});

	test('that the issuer does not tell is no reason to fetch one each time', async () => {
		const cache = cacheOver();
		const issue = issuer(undefined);
		const stop = Date.now() + 30 * minute;
		while (Date.now() < stop) {
			await cache.get('key', issue);
			await vi.advanceTimersByTimeAsync(minute);
		}
		expect(issue).toHaveBeenCalledTimes(1);
	});
});

describe('renewal', () => {
	test('begins in the background ahead of the end, once, while the old token is served', async () => {
		const cache = cacheOver();
		await cache.get('key', async () => token('old'));
		vi.setSystemTime(Date.now() + 0.9 * hour);
		const {issue, resolve} = pendingIssue();
		for (let i = 0; i < 10; i++) expect((await cache.get('key', issue)).value).toBe('old');
		await vi.advanceTimersByTimeAsync(0);
		expect(issue).toHaveBeenCalledTimes(1);
		resolve(token('new'));
		await vi.advanceTimersByTimeAsync(0);
		expect((await cache.get('key', issue)).value).toBe('new');
		expect(issue).toHaveBeenCalledTimes(1);
	});

	test('that fails leaves the valid token, is reported, and is tried again with growing pauses', async () => {
		const cache = cacheOver();
		await cache.get('key', async () => token('old'));
		vi.setSystemTime(Date.now() + 0.86 * hour);
		const found = reports();
		const issue = vi.fn(async (): Promise<Token> => {
			throw new TokenCacheError('the issuer is down');
		});
		const stop = Date.now() + 0.13 * hour;
		while (Date.now() < stop) {
			expect((await cache.get('key', issue)).value).toBe('old');
			await vi.advanceTimersByTimeAsync(1000);
		}
		expect(issue.mock.calls.length).toBeGreaterThan(3);
		expect(issue.mock.calls.length).toBeLessThan(30);
		expect(found).toHaveLength(issue.mock.calls.length);
	});

	test('that fails for good fails the call once the token has expired', async () => {
		const cache = cacheOver();
		await cache.get('key', async () => token('old'));
		vi.setSystemTime(Date.now() + hour);
		const failure = new Error('the issuer is down');
		await expect(cache.get('key', () => Promise.reject(failure))).rejects.toBe(failure);
	});
});

describe('invalidate', () => {
	test('drops the token, in memory and in the store', async () => {
		const storage = new KeyvStorage(new Map());
		const cache = cacheOver(storage);
		const issue = issuer();
		await cache.invalidate('key', await cache.get('key', issue));
		expect(await cache.peek('key')).toBeUndefined();
		expect(await tokensIn(storage).get('key')).toBeUndefined();
		expect((await cache.get('key', issue)).value).toBe('token-2');
	});

	test('leaves a newer one', async () => {
		const storage = new KeyvStorage(new Map());
		const cache = cacheOver(storage);
		const issue = issuer();
		const old = await cache.get('key', issue);
		const renewed = await cache.get('key', issue, {fresh: true});
		await cache.invalidate('key', old);
		expect(await cache.get('key', issue)).toBe(renewed);
		expect(await tokensIn(storage).get('key')).toMatchObject({value: renewed.value});
		expect(issue).toHaveBeenCalledTimes(2);
	});

	test('by a hundred at once that all saw the same refusal leads to one new token', async () => {
		const cache = cacheOver();
		const issue = issuer();
		const refused = await cache.get('key', issue);
		const renewed = await Promise.all(
			Array.from({length: 100}, async () => {
				await cache.invalidate('key', refused);
				return cache.get('key', issue);
			}),
		);
		expect(new Set(renewed.map(({value}) => value))).toEqual(new Set(['token-2']));
		expect(issue).toHaveBeenCalledTimes(2);
	});

	test('of a token that nobody keeps does nothing', async () => {
		await expect(cacheOver().invalidate('key', token('unknown'))).resolves.toBeUndefined();
	});

	test('holds also where the store cannot delete', async () => {
		const storage = storageWith({compareAndDelete: () => Promise.reject(new Error('read-only'))});
		const cache = cacheOver(storage);
		const issue = issuer();
		await cache.invalidate('key', await cache.get('key', issue));
		expect((await cache.get('key', issue)).value).toBe('token-2');
	});
});

test('peek gives the token that is kept and never issues', async () => {
	const storage = new KeyvStorage(new Map());
	const cache = cacheOver(storage);
	expect(await cache.peek('key')).toBeUndefined();
	const issued = await cache.get('key', issuer());
	expect(await cache.peek('key')).toBe(issued);
	expect(await cacheOver(storage).peek('key')).toEqual(issued);
});

test('delete drops whatever is kept', async () => {
	const storage = new KeyvStorage(new Map());
	const cache = cacheOver(storage);
	await cache.get('key', issuer());
	await cache.get('other', issuer());
	await cache.delete('key');
	expect(await cache.peek('key')).toBeUndefined();
	expect(await tokensIn(storage).get('key')).toBeUndefined();
	expect(await cache.peek('other')).toBeDefined();
});

describe('delete reaches what is under way', () => {
	/** An issuer whose answers come when the test says so, and that heeds no signal. */
	function slowIssuer() {
		const orders: {resolve: (token: Token) => void; reject: (error: Error) => void; signal: AbortSignal}[] =
			[];
		const issue = (signal: AbortSignal): Promise<Token> => {
			const {promise, resolve, reject} = Promise.withResolvers<Token>();
			orders.push({resolve, reject, signal});
			return promise;
		};
		return {orders, issue};
	}

	test('a fetch: its token is not kept, and who waits for one gets a newer one', async () => {
		const storage = new KeyvStorage(new Map());
		const cache = cacheOver(storage);
		const {orders, issue} = slowIssuer();
		const waiting = Promise.all([cache.get('key', issue), cache.get('key', issue)]);
		await vi.advanceTimersByTimeAsync(0);
		expect(orders).toHaveLength(1);
		await cache.delete('key');
		expect(orders[0]?.signal.aborted).toBe(true);
		await vi.advanceTimersByTimeAsync(0);
		expect(orders).toHaveLength(2);
		orders[0]?.resolve(token('before'));
		await vi.advanceTimersByTimeAsync(0);
		expect(await cache.peek('key')).toBeUndefined();
		orders[1]?.resolve(token('after'));
		expect((await waiting).map(({value}) => value)).toEqual(['after', 'after']);
		expect((await cache.peek('key'))?.value).toBe('after');
		expect((await tokensIn(storage).get('key'))?.value).toBe('after');
	});

	test('one with fresh, and one that fails afterwards', async () => {
		const cache = cacheOver();
		const found = reports();
		const {orders, issue} = slowIssuer();
		const waiting = cache.get('key', issue, {fresh: true});
		await vi.advanceTimersByTimeAsync(0);
		await cache.delete('key');
		await vi.advanceTimersByTimeAsync(0);
		orders[0]?.reject(new TokenRequestError('wait', {status: 429, retryAfter: minute}));
		orders[1]?.resolve(token('after'));
		expect((await waiting).value).toBe('after');
		expect(found).toEqual([]);
		// What it was told is forgotten, too.
		expect((await cache.get('key', async () => token('another'), {fresh: true})).value).toBe('another');
	});

	test('a renewal in the background', async () => {
		const storage = new KeyvStorage(new Map());
		const cache = cacheOver(storage);
		await cache.get('key', async () => token('old'));
		await vi.advanceTimersByTimeAsync(0.8 * hour);
		const {orders, issue} = slowIssuer();
		expect((await cache.get('key', issue)).value).toBe('old');
		await vi.advanceTimersByTimeAsync(0);
		await cache.delete('key');
		orders[0]?.resolve(token('renewed'));
		await vi.advanceTimersByTimeAsync(0);
		expect([await cache.peek('key'), await tokensIn(storage).get('key')]).toEqual([undefined, undefined]);
		// Nobody waits for it, so it is not begun again.
		expect(orders).toHaveLength(1);
	});

	test('a look-up that has read the token already', async () => {
		const inner = new KeyvStorage(new Map());
		await tokensIn(inner).set('key', token('stored'), hour);
		const {promise: held, resolve: letGo} = Promise.withResolvers<void>();
		const cache = cacheOver(
			storageWith({
				get: async key => {
					const found = await inner.get(key);
					await held;
					return found;
				},
				delete: key => inner.delete(key),
			}),
		);
		const waiting = cache.get('key', async () => token('after'));
		await vi.advanceTimersByTimeAsync(0);
		const deleted = cache.delete('key');
		letGo();
		await deleted;
		expect((await waiting).value).toBe('after');
		expect((await cache.peek('key'))?.value).toBe('after');
	});

	test('a token that is on its way into the store, and look-ups that come meanwhile', async () => {
		const inner = new KeyvStorage(new Map());
		const {promise: held, resolve: letGo} = Promise.withResolvers<void>();
		let isFirst = true;
		const cache = cacheOver(
			storageWith({
				get: key => inner.get(key),
				set: async (...all) => {
					if (isFirst) {
						isFirst = false;
						await held;
					}
					await inner.set(...all);
				},
				delete: key => inner.delete(key),
			}),
		);
		const first = cache.get('key', async () => token('before'));
		await vi.advanceTimersByTimeAsync(0);
		const deleted = cache.delete('key');
		const second = cache.get('key', async () => token('after'));
		await vi.advanceTimersByTimeAsync(10);
		letGo();
		await deleted;
		expect((await Promise.all([first, second])).map(({value}) => value)).toEqual(['after', 'after']);
		expect((await tokensIn(inner).get('key'))?.value).toBe('after');
	});
});

describe('close', () => {
	test('ends issues under way, and every call after it rejects', async () => {
		const storage = storageWith();
		const cache = cacheOver(storage);
		const kept = await cache.get('kept', issuer());
		const issue = vi.fn((signal: AbortSignal) => {
			return new Promise<Token>((_, reject) => {
				signal.addEventListener('abort', () => reject(signal.reason));
			});
		});
		const waiting = cache.get('key', issue);
		const rejected = expect(waiting).rejects.toBeInstanceOf(TokenCacheError);
		await vi.advanceTimersByTimeAsync(0);
		expect(issue).toHaveBeenCalled();
		await cache.close();
		await rejected;
		expect(storage.disconnect).toHaveBeenCalledTimes(1);
		const later = issuer();
		for (const call of [
			() => cache.get('kept', later),
			() => cache.get('kept', later, {fresh: true}),
			() => cache.peek('kept'),
			() => cache.invalidate('kept', kept),
			() => cache.delete('kept'),
		]) {
			await expect(call()).rejects.toMatchObject({
				code: 'ERR_GATEPASS_TOKEN_CACHE',
				message: expect.stringContaining('closed'),
			});
		}
		expect(later).not.toHaveBeenCalled();
	});

	test('waits for writes, and twice is once', async () => {
		const {promise, resolve} = Promise.withResolvers<void>();
		const storage = storageWith({set: () => promise});
		const cache = cacheOver(storage);
		void cache.get('key', issuer());
		await vi.advanceTimersByTimeAsync(0);
		expect(storage.set).toHaveBeenCalledTimes(1);
		const closes = [cache.close(), cache.close()];
		await vi.advanceTimersByTimeAsync(10);
		expect(storage.disconnect).not.toHaveBeenCalled();
		resolve();
		await Promise.all(closes);
		expect(storage.disconnect).toHaveBeenCalledTimes(1);
	});

	test('waits for a deletion under way', async () => {
		const {promise, resolve} = Promise.withResolvers<void>();
		const storage = storageWith({delete: () => promise});
		const cache = cacheOver(storage);
		const deleted = cache.delete('key');
		const closed = cache.close();
		await vi.advanceTimersByTimeAsync(10);
		expect(storage.disconnect).not.toHaveBeenCalled();
		resolve();
		await Promise.all([deleted, closed]);
		expect(storage.disconnect).toHaveBeenCalledTimes(1);
	});

	test('waits for an issue that takes its time, whose token is handed over but not kept', async () => {
		const storage = storageWith();
		const cache = cacheOver(storage);
		const {issue, resolve} = pendingIssue();
		const waiting = cache.get('key', issue);
		await vi.advanceTimersByTimeAsync(0);
		const closed = cache.close();
		await vi.advanceTimersByTimeAsync(100);
		expect(storage.disconnect).not.toHaveBeenCalled();
		resolve(token('late'));
		await closed;
		expect((await waiting).value).toBe('late');
		expect(storage.set).not.toHaveBeenCalled();
	});

	test('does not wait for ever for an issue that takes no notice', async () => {
		const cache = cacheOver();
		const {issue} = pendingIssue();
		void cache.get('key', issue).catch(() => {});
		await vi.advanceTimersByTimeAsync(0);
		const closed = cache.close();
		await vi.advanceTimersByTimeAsync(minute);
		await closed;
	});

	test('survives a store that cannot be closed', async () => {
		const cache = cacheOver(storageWith({disconnect: () => Promise.reject(new Error('stuck'))}));
		await cache.get('key', issuer());
		await expect(cache.close()).resolves.toBeUndefined();
	});
});

describe('a store that fails never fails a call', () => {
	const fails = () => Promise.reject(new Error('secret-connection-string'));
	const hangs = () => new Promise<never>(() => {});
	const throws = () => {
		throw new Error('secret-connection-string');
	};

	test.each<[string, () => Promise<never>]>([
		['rejects', fails],
		['throws', throws],
		['hangs', hangs],
	])('one that %s', async (_, call) => {
		const found = reports();
		const cache = cacheOver(
			storageWith({get: call, set: call, delete: call, compareAndDelete: call, disconnect: call}),
		);
		const issue = issuer();
		const started = Date.now();
		const first = cache.get('key', issue);
		await vi.advanceTimersByTimeAsync(3000);
		expect((await first).value).toBe('token-1');
		// From here on it goes on from memory.
		expect((await cache.get('key', issue)).value).toBe('token-1');
		const dropped = cache.invalidate('key', await first);
		await vi.advanceTimersByTimeAsync(3000);
		await dropped;
		const second = cache.get('key', issue);
		await vi.advanceTimersByTimeAsync(3000);
		expect((await second).value).toBe('token-2');
		const peeked = cache.peek('other');
		// The one call that tells: whoever deletes a token wants it gone.
		const deleted = expect(cache.delete('key')).rejects.toMatchObject({code: 'ERR_GATEPASS_TOKEN_CACHE'});
		const closed = cache.close();
		await vi.advanceTimersByTimeAsync(10_000);
		await Promise.all([peeked, deleted, closed]);
		expect(Date.now() - started).toBeLessThan(minute);
		expect(found.length).toBeGreaterThan(0);
		for (const {error} of found) {
			expect(error).toBeInstanceOf(TokenCacheError);
			expect(error.message).toMatch(/gatepass doctor|Look whether its server/);
			expect(error.message).not.toContain('secret');
		}
	});

	test('a get waits for a store that hangs no longer than a second', async () => {
		const cache = cacheOver(storageWith({get: hangs}));
		let answered = false;
		void cache.get('key', issuer()).then(() => {
			answered = true;
		});
		await vi.advanceTimersByTimeAsync(1100);
		expect(answered).toBe(true);
	});

	test('one that comes back is used again', async () => {
		let isDown = true;
		const inner = new KeyvStorage(new Map());
		const storage = storageWith({
			get: key => (isDown ? fails() : inner.get(key)),
			set: (...all) => inner.set(...all),
		});
		await cacheOver(storage).get('key', issuer());
		await tokensIn(inner).set('other', token('stored'), hour);
		isDown = false;
		await vi.advanceTimersByTimeAsync(minute);
		expect((await cacheOver(storage).get('other', issuer())).value).toBe('stored');
	});

	test.each<[string, string]>([
		['text that is no JSON', 'garbage'],
		['another value', JSON.stringify({value: 5})],
		['no value', JSON.stringify({})],
		['null', 'null'],
		['a token without a value', JSON.stringify({value: {type: 'Bearer'}})],
		['a token of an unknown type', JSON.stringify({value: {value: 'x', type: 'Basic'}})],
		['a token with an odd end', JSON.stringify({value: {value: 'x', type: 'Bearer', expiresAt: 'soon'}})],
		['half an entry', '{"value":{"value":"x","type":"Bea'],
	])('%s in the store is passed over', async (_, raw) => {
		const map = new Map<string, unknown>();
		const keyv = new Keyv({store: map, namespace: 'gatepass'});
		const storage = new KeyvStorage(keyv);
		await tokensIn(storage).set('key', token('good'), hour);
		const [name = ''] = map.keys();
		map.set(name, raw);
		const cache = cacheOver(storage);
		expect(await cache.peek('key')).toBeUndefined();
		expect((await cache.get('key', issuer())).value).toBe('token-1');
		expect((await cacheOver(storage).peek('key'))?.value).toBe('token-1');
	});
});
