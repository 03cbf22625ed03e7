/**
 * The clock for durations: how long a token may be used, an issuer is not asked, a store is left alone.
 *
 * It goes on when somebody puts the machine's clock back, by the monotonic clock. It does not go by that one alone, which
 * stands still while the machine sleeps, and a token ends nevertheless. Where the machine's clock is put forward, it goes
 * along: nobody can tell that from sleep, and to end too early does no harm.
 */
import {performance} from 'node:perf_hooks';

/** Milliseconds by which the two clocks may drift apart before that is a step. */
const tolerance = 2000;

/** How far the machine's clock was put back in all. */
let putBack = 0;
/** The most that the machine's clock was ahead of the monotonic one since it was put back last. */
let ahead = Number.NEGATIVE_INFINITY;

/** Milliseconds since a beginning that means nothing. Never goes back. */
export function steadyNow(): number {
	const now = Date.now();
	const nowAhead = now - performance.now();
	if (nowAhead > ahead) {
		ahead = nowAhead;
	} else if (nowAhead < ahead - tolerance) {
		putBack += ahead - nowAhead;
		ahead = nowAhead;
	}
	return now + putBack;
}

/** Milliseconds between two looks of a {@link PauseWatch} at the clocks. */
const beat = 250;
/** Milliseconds that a look may be late on a busy machine. */
const lateness = 1000;

/**
 * Notices that this process stood still for a while: it was stopped, its event loop was held up, or the machine slept.
 * What timed out meanwhile says nothing about the other side.
 */
export class PauseWatch {
	readonly #timer: NodeJS.Timeout;
	#monotonic = performance.now();
	#wall = Date.now();
	#hasPaused = false;

	/** Begins to watch. */
	constructor() {
		this.#timer = setInterval(() => this.#look(), beat);
		this.#timer.unref();
	}

	/** Whether it stood still since the beginning. */
	hasPaused(): boolean {
		this.#look();
		return this.#hasPaused;
	}

	stop(): void {
		clearInterval(this.#timer);
	}

	/** By both clocks: the monotonic one stands still while the machine sleeps. */
	#look(): void {
		const [monotonic, wall] = [performance.now(), Date.now()];
		const passed = Math.max(monotonic - this.#monotonic, wall - this.#wall);
		if (passed > beat + lateness) this.#hasPaused = true;
		[this.#monotonic, this.#wall] = [monotonic, wall];
	}
}
