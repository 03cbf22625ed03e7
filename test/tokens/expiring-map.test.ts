/** A map that stays small, by a clock of the tests' own. */
import {afterEach, beforeEach, expect, onTestFinished, test, vi} from 'vitest';
import {ExpiringMap} from '../../src/tokens/expiring-map.ts';
import {steadyNow} from '../../src/tokens/steady-clock.ts';

beforeEach(() => {
	vi.useFakeTimers({now: 1_800_000_000_000});
});
afterEach(() => {
	vi.useRealTimers();
});

function mapOf(limit = 1000): ExpiringMap<number> {
	const map = new ExpiringMap<number>(limit);
	onTestFinished(() => map.clear());
	return map;
}

const inSeconds = (seconds: number): number => steadyNow() + seconds * 1000;

test('what has expired is gone soon, without anybody asking for it', () => {
	const map = mapOf();
	for (let number = 0; number < 100; number++) map.set(`key ${number}`, number, inSeconds(number / 10));
	map.set('for good', 1, Number.POSITIVE_INFINITY);
	for (let second = 1; second <= 12; second++) {
		vi.advanceTimersByTime(1000);
		expect(map.size).toBeLessThanOrEqual(Math.max(1, 101 - (second - 1) * 10));
	}
	expect([map.size, map.get('for good')]).toEqual([1, 1]);
	expect(vi.getTimerCount()).toBe(0);
});

test('what is kept longer than it was meant to be at first is not swept with what was', () => {
	const map = mapOf();
	map.set('key', 1, inSeconds(1));
	map.set('key', 2, inSeconds(10));
	vi.advanceTimersByTime(9000);
	expect(map.get('key')).toBe(2);
	vi.advanceTimersByTime(2000);
	expect(map.size).toBe(0);
});

test('what would be kept for weeks is swept in weeks', () => {
	const map = mapOf();
	map.set('key', 1, inSeconds(30 * 86_400));
	vi.advanceTimersByTime(29 * 86_400_000);
	expect(map.get('key')).toBe(1);
	vi.advanceTimersByTime(2 * 86_400_000);
	expect(map.size).toBe(0);
});

test('of more than it may hold, those go first that were not used for longest', () => {
	const map = mapOf(100);
	for (let number = 0; number < 100; number++) map.set(`${number}`, number, inSeconds(60));
	for (let number = 0; number < 20; number++) map.get(`${number}`);
	map.set('25', 25, inSeconds(60));
	for (let number = 100; number < 150; number++) map.set(`${number}`, number, inSeconds(60));
	expect(map.size).toBe(100);
	const kept = Array.from({length: 150}, (_, number) => number).filter(
		number => map.get(`${number}`) !== undefined,
	);
	const expected = [
		...Array.from({length: 20}, (_, number) => number),
		25,
		...Array.from({length: 79}, (_, index) => 71 + index),
	];
	expect(kept).toEqual(expected);
});

test('nothing is remembered of what was deleted or had to make room', () => {
	const map = mapOf(10);
	for (let number = 0; number < 1000; number++) map.set(`${number}`, number, inSeconds(60 + number));
	for (let number = 0; number < 1000; number++) map.delete(`${number}`);
	expect(map.size).toBe(0);
	// The sweep that was waited for finds nothing, and no other is waited for.
	vi.advanceTimersByTime(2_000_000);
	expect(vi.getTimerCount()).toBe(0);
});
