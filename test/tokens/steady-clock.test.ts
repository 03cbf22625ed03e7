/** The clock for durations, with a machine's clock that is put back and forward. */
import {afterEach, beforeEach, expect, test, vi} from 'vitest';

const hour = 3_600_000;

let steadyNow: () => number;
/** Milliseconds since the test began, by the clock, without what a division leaves. */
let elapsed: () => number;
beforeEach(async () => {
	vi.useFakeTimers({now: 1_800_000_000_000});
	// Another one for each test: it remembers what the clocks did.
	vi.resetModules();
	({steadyNow} = await import('../../src/tokens/steady-clock.ts'));
	const begun = steadyNow();
	elapsed = () => Math.round(steadyNow() - begun);
});
/** The monotonic clock is the machine's own, and the test takes its time. */
function expectElapsed(milliseconds: number): void {
	expect(Math.abs(elapsed() - milliseconds)).toBeLessThan(500);
}

afterEach(() => {
	vi.useRealTimers();
});

test('goes on with the time', () => {
	vi.advanceTimersByTime(1500);
	expectElapsed(1500);
});

test('does not go back when the clock is put back, as often as that may be', () => {
	for (let times = 1; times <= 5; times++) {
		vi.setSystemTime(Date.now() - hour);
		expectElapsed((times - 1) * 1000);
		vi.advanceTimersByTime(1000);
		expectElapsed(times * 1000);
	}
});

test('goes along when the clock is put forward, or the machine slept', () => {
	vi.setSystemTime(Date.now() + hour);
	expectElapsed(hour);
	vi.setSystemTime(Date.now() - hour);
	expectElapsed(hour);
	vi.advanceTimersByTime(1000);
	expectElapsed(hour + 1000);
});

test('takes no small difference between the two clocks for a step', () => {
	for (let second = 0; second < 100; second++) {
		vi.advanceTimersByTime(1000);
		vi.setSystemTime(Date.now() + (second % 2 === 0 ? -3 : 3));
		steadyNow();
	}
	expect(Math.abs(elapsed() - 100_000)).toBeLessThan(500);
});
