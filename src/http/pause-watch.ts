/**
 * Notices that this process stood still for a while: it was stopped, its event loop was held up, or the machine slept.
 * What timed out meanwhile says nothing about the other side.
 */

/** Milliseconds between two looks at the clocks. */
const beat = 250;
/** Milliseconds that a look may be late on a busy machine. */
const lateness = 1000;

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
