/** The token that can be had without a wait. */
import {afterEach, expect, test, vi} from 'vitest';
import {Events} from '../../src/observability/events.ts';
import {PersistentTokenCache} from '../../src/tokens/token-cache.ts';

const lifetime = 100_000;
let cache: PersistentTokenCache;
afterEach(async () => {
	vi.useRealTimers();
	await cache.close();
});

const issue = async () => ({value: 'one', type: 'Bearer' as const, expiresAt: Date.now() + lifetime});

test('the one in memory, and none that has to be fetched', async () => {
	cache = new PersistentTokenCache(undefined);
	expect(cache.atHand('key')).toBeUndefined();
	const token = await cache.get('key', issue);
	expect(cache.atHand('key')).toBe(token);
	expect(cache.atHand('another')).toBeUndefined();
	await cache.invalidate('key', token);
	expect(cache.atHand('key')).toBeUndefined();
});

test('none that is due for renewal, so that somebody asks for it', async () => {
	vi.useFakeTimers({toFake: ['Date', 'performance']});
	cache = new PersistentTokenCache(undefined);
	await cache.get('key', issue);
	expect(cache.atHand('key')).toBeDefined();
	vi.advanceTimersByTime(lifetime * 0.95);
	expect(cache.atHand('key')).toBeUndefined();
});

test('none where somebody listens to who uses it', async () => {
	cache = new PersistentTokenCache(undefined, {events: new Events([() => {}])});
	await cache.get('key', issue);
	expect(cache.atHand('key')).toBeUndefined();
});
