/** Waits while another process writes to the sqlite file, without holding up everything else in this process. */
import {performance} from 'node:perf_hooks';
import {setTimeout as delay} from 'node:timers/promises';

/** Milliseconds until a writer gives up. */
const patience = 5000;

/** Run `work`, again and again while the file is locked. */
export async function whenFree<Result>(work: () => Result): Promise<Result> {
	const deadline = performance.now() + patience;
	for (;;) {
		try {
			return work();
		} catch (error) {
			if (!isBusy(error) || performance.now() > deadline) throw error;
			// At random, so that those who wait do not all come back at once.
			await delay(5 + Math.random() * 20);
		}
	}
}

/** SQLITE_BUSY, https://sqlite.org/rescode.html#busy */
export function isBusy(error: unknown): boolean {
	const {errcode} = (error ?? {}) as {errcode?: number};
	return errcode !== undefined && (errcode & 0xff) === 5;
}
