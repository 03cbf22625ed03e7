/** When a token is renewed, how often an issuer is asked, and what becomes of a renewal that fails: by a clock of the tests' own. */
import fc from 'fast-check';
import {afterEach, beforeEach, describe, expect, onTestFinished, test, vi} from 'vitest';
import {TokenRequestError} from '../../src/errors.ts';
import type {Token} from '../../src/strategy/services.ts';
import {openStorage} from '../../src/tokens/open-storage.ts';
import {PersistentTokenCache} from '../../src/tokens/token-cache.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;

beforeEach(() => {
	vi.useFakeTimers({now: 1_800_000_000_000});
});
afterEach(() => {
	vi.useRealTimers();
});

function cacheOver(store = openStorage(new Map())): PersistentTokenCache {
	const cache = new PersistentTokenCache(store);
	onTestFinished(() => cache.close());
	return cache;
}

/** An issuer that numbers its tokens, and can be down. */
class Issuer {
	asked = 0;
	failure: Error | undefined;
	/** Milliseconds that it takes to fail. */
	patience = 0;
	readonly #lifetime: number;

	constructor(lifetime: number) {
		this.#lifetime = lifetime;
	}

	readonly issue = async (): Promise<Token> => {
		this.asked += 1;
		const {failure} = this;
		if (failure !== undefined && this.patience > 0) {
			await new Promise(resolve => setTimeout(resolve, this.patience));
		}
		if (failure !== undefined) throw failure;
		return {value: `token-${this.asked}`, type: 'Bearer', expiresAt: Date.now() + this.#lifetime};
	};
}

/** Ask for the token again and again, as a service under load does. Each token must be valid when it is served. */
async function load(
	cache: PersistentTokenCache,
	issue: () => Promise<Token>,
	duration: number,
	step: number,
) {
	for (let elapsed = 0; elapsed < duration; elapsed += step) {
		await vi.advanceTimersByTimeAsync(step);
		const {expiresAt = Number.POSITIVE_INFINITY} = await cache.get('key', issue);
		expect(expiresAt).toBeGreaterThan(Date.now());
	}
}

describe('the time of a renewal', () => {
	test('is spread, so that those who share a token do not all renew it at once', async () => {
		const members = Array.from({length: 200}, () => ({cache: cacheOver(), issuer: new Issuer(hour)}));
		for (const {cache, issuer} of members) await cache.get('key', issuer.issue);
		const countRenewed = async (): Promise<number> => {
			for (const {cache, issuer} of members) await cache.get('key', issuer.issue);
			return members.filter(({issuer}) => issuer.asked > 1).length;
		};
		await vi.advanceTimersByTimeAsync(0.64 * hour);
		const counts: number[] = [await countRenewed()];
		for (let step = 0; step < 12; step++) {
			await vi.advanceTimersByTimeAsync(0.01 * hour);
			counts.push(await countRenewed());
		}
		expect(counts[0]).toBe(0);
		expect(counts.at(-1)).toBe(200);
		// With 200 of them, 20 are to be expected in each of the ten steps.
		const most = Math.max(...counts.slice(1).map((count, index) => count - (counts[index] ?? 0)));
		expect(most).toBeLessThan(60);
	});

	test('is another one each time', async () => {
		const cache = cacheOver();
		const issuer = new Issuer(hour);
		const times: number[] = [];
		let begun = Date.now();
		await cache.get('key', issuer.issue);
		for (let renewals = 0; renewals < 20; ) {
			const before = issuer.asked;
			await load(cache, issuer.issue, 10 * second, 10 * second);
			if (issuer.asked === before) continue;
			times.push(Date.now() - begun);
			begun = Date.now();
			renewals += 1;
		}
		expect(new Set(times).size).toBeGreaterThan(10);
	});
});

describe('an issuer that is down', () => {
	test('for a minute, at any moment of a five-minute token: no request fails', async () => {
		await fc.assert(
			fc.asyncProperty(fc.integer({min: 0, max: 900}), fc.boolean(), async (start, hangs) => {
				const cache = cacheOver();
				const issuer = new Issuer(5 * minute);
				issuer.patience = hangs ? 10 * second : 0;
				await cache.get('key', issuer.issue);
				await load(cache, issuer.issue, start * second, second);
				const before = issuer.asked;
				issuer.failure = new TokenRequestError('down', {status: 503});
				await load(cache, issuer.issue, minute, second);
				// Six pauses, each twice as long as the one before, make a minute.
				expect(issuer.asked - before).toBeLessThan(12);
				issuer.failure = undefined;
				await load(cache, issuer.issue, 5 * minute, second);
			}),
			{numRuns: 100},
		);
	});

	test('is asked less and less often, and fails nobody before the token ends', async () => {
		const cache = cacheOver();
		const issuer = new Issuer(hour);
		await cache.get('key', issuer.issue);
		issuer.failure = new TokenRequestError('down', {status: 500});
		await load(cache, issuer.issue, hour - 11 * second, second);
		// At least 14 minutes, with a minute between two tries at most.
		expect(issuer.asked).toBeGreaterThan(14);
		expect(issuer.asked).toBeLessThan(50);
		await vi.advanceTimersByTimeAsync(11 * second);
		await expect(cache.get('key', issuer.issue)).rejects.toBe(issuer.failure);
		issuer.failure = undefined;
		await expect(cache.get('key', issuer.issue)).resolves.toMatchObject({type: 'Bearer'});
	});

	test('that says when to come back is not asked before, and the token at hand stays in use', async () => {
		const cache = cacheOver();
		const issuer = new Issuer(hour);
		await cache.get('key', issuer.issue);
		issuer.failure = new TokenRequestError('busy', {status: 429, retryAfter: 10 * minute});
		await vi.advanceTimersByTimeAsync(0.76 * hour);
		await load(cache, issuer.issue, 9 * minute, second);
		expect(issuer.asked).toBe(2);
		issuer.failure = undefined;
		await load(cache, issuer.issue, 2 * minute, second);
		expect(issuer.asked).toBe(3);
		expect((await cache.get('key', issuer.issue)).value).toBe('token-3');
	});
});

describe('a failure is never kept', () => {
	test('neither in memory nor in the store: each call asks again', async () => {
		const map = new Map<string, unknown>();
		const cache = cacheOver(openStorage(map));
		const issuer = new Issuer(hour);
		issuer.failure = new TokenRequestError('refused', {status: 400});
		for (let calls = 1; calls <= 5; calls++) {
			await expect(cache.get('key', issuer.issue)).rejects.toBe(issuer.failure);
			expect(issuer.asked).toBe(calls);
			expect(await cache.peek('key')).toBeUndefined();
		}
		expect(map.size).toBe(0);
	});
});

describe('an issuer that hands out the same token again', () => {
	test.each([5 * second, minute, 5 * minute, hour, 24 * hour])(
		'until its end (%i ms) is asked but a few times',
		async lifetime => {
			const cache = cacheOver();
			const expiresAt = Date.now() + lifetime;
			const issue = vi.fn(
				async (): Promise<Token> => ({value: 'the same', type: 'Bearer', expiresAt, issuedAt: Date.now()}),
			);
			await load(cache, issue, lifetime - lifetime / 1000, lifetime / 1000);
			expect(issue.mock.calls.length).toBeLessThan(8);
		},
	);

	test('with a life that begins again each time is asked as if it were a new one', async () => {
		const cache = cacheOver();
		const issue = vi.fn(
			async (): Promise<Token> => ({value: 'the same', type: 'Bearer', expiresAt: Date.now() + hour}),
		);
		await load(cache, issue, 24 * hour, minute);
		expect(issue.mock.calls.length).toBeLessThan(40);
	});

	test('with a second left each time is asked no more than about once a second', async () => {
		const cache = cacheOver();
		const issue = vi.fn(
			async (): Promise<Token> => ({value: 'the same', type: 'Bearer', expiresAt: Date.now() + second}),
		);
		await load(cache, issue, minute, 10);
		expect(issue.mock.calls.length).toBeLessThan(75);
	});
});
