/** A process that is held up itself does not take its token store for slow. */
import {setImmediate as nextTurn} from 'node:timers/promises';
import {expect, test} from 'vitest';
import {Events} from '../../src/observability/events.ts';
import type {Storage} from '../../src/tokens/storage.ts';
import {PersistentTokenCache} from '../../src/tokens/token-cache.ts';

const stored = JSON.stringify({
	value: {value: 'from-the-store', type: 'Bearer', expiresAt: Date.now() + 3_600_000},
});

/** Let nothing else run in this process for so many milliseconds. */
function holdUp(milliseconds: number): void {
	Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

test('an answer that takes some turns of a busy process is waited for', async () => {
	const storage: Storage = {
		async get() {
			// Longer than a store may take, but the time is all this process's own.
			for (let turn = 0; turn < 5; turn++) {
				await nextTurn();
				holdUp(300);
			}
			await nextTurn();
			return stored;
		},
		set: async () => {},
		delete: async () => {},
		compareAndDelete: async () => {},
	};
	const failures: unknown[] = [];
	const events = new Events([
		(name, payload) => void (name === 'gatepass:token:error' && failures.push(payload)),
	]);
	const cache = new PersistentTokenCache({open: async () => storage}, {events});
	const token = await cache.get('key', () => Promise.reject(new Error('The issuer was asked')));
	expect(token.value).toBe('from-the-store');
	expect(failures).toEqual([]);
	await cache.close();
});
