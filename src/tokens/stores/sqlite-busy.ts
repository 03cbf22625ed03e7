/** Waits while another process writes to the sqlite file. */
import {performance} from 'node:perf_hooks';
import {setTimeout as delay} from 'node:timers/promises';

/** Milliseconds until a writer gives up. */
const patience = 5000;

/** Run `work`, again and again while the file is locked, without holding up everything else in this process. */
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

/** The same where nothing can be done meanwhile: the file is being opened. */
export function whenFreeSync<Result>(work: () => Result): Result {
	const deadline = performance.now() + patience;
	for (;;) {
		try {
			return work();
		} catch (error) {
			if (!isBusy(error) || performance.now() > deadline) throw error;
			Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5 + Math.random() * 10);
		}
	}
}

/** What `whenFree` takes for a file that is locked. */
export class FileIsLocked extends Error {
	readonly errcode = busy;
}

/** SQLITE_BUSY, https://sqlite.org/rescode.html#busy */
const busy = 5;

function isBusy(error: unknown): boolean {
	const {errcode} = (error ?? {}) as {errcode?: number};
	return errcode !== undefined && (errcode & 0xff) === busy;
}
