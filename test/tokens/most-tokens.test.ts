/** The tokens in memory have a limit, whoever asks for how many. */
import {expect, onTestFinished, test} from 'vitest';
import {PersistentTokenCache} from '../../src/tokens/token-cache.ts';

test('of 100,000 tokens and more, those go that were not used for longest', async () => {
	const cache = new PersistentTokenCache(undefined);
	onTestFinished(() => cache.close());
	const token = {value: 'one', type: 'Bearer' as const, expiresAt: Date.now() + 3_600_000};
	for (let number = 0; number < 100_100; number++) await cache.get(`${number}`, async () => token);
	const kept = Array.from({length: 100_100}, (_, number) => cache.atHand(`${number}`) !== undefined);
	expect(kept.filter(Boolean)).toHaveLength(100_000);
	expect(kept.indexOf(true)).toBe(100);
});
