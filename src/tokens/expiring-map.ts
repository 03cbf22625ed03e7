/**
 * A map that stays small: what has expired is swept away, also where nobody asks for it again, and of more entries than
 * it may hold, those that were not used for longest go first.
 */
import {steadyNow} from './steady-clock.ts';

/** Milliseconds: what expires within the same is swept at once. */
const sweepSpan = 1000;
/** Longer, and `setTimeout` would not wait at all. */
const longestTimer = 3_600_000;

/** What is kept for a key. */
export interface Kept<Value> {
	readonly value: Value;
	readonly until: number;
	/** Since it was last looked at for making room. */
	isUsed: boolean;
}

export class ExpiringMap<Value> {
	readonly #entries = new Map<string, Kept<Value>>();
	readonly #limit: number;
	/** Which keys a sweep is for, by its time: it looks at those alone. */
	readonly #sweeps = new Map<number, Set<string>>();
	#timer: NodeJS.Timeout | undefined;
	#nextSweep = Number.POSITIVE_INFINITY;

	constructor(limit: number) {
		this.#limit = limit;
	}

	get size(): number {
		return this.#entries.size;
	}

	/** All that is kept, for a look-up without a call: whoever uses an entry says so there. */
	get entries(): ReadonlyMap<string, Kept<Value>> {
		return this.#entries;
	}

	/** What is kept for the key, also where it expired a moment ago. */
	get(key: string): Value | undefined {
		const entry = this.#entries.get(key);
		if (entry === undefined) return undefined;
		entry.isUsed = true;
		return entry.value;
	}

	/** Keep a value until a time of the steady clock, which may be infinite. */
	set(key: string, value: Value, until: number): void {
		// First out, so that it comes last in the order of the map.
		this.delete(key);
		if (this.#entries.size >= this.#limit) this.#makeRoom();
		this.#entries.set(key, {value, until, isUsed: false});
		const sweep = sweepOf(until);
		if (sweep === Number.POSITIVE_INFINITY) return;
		const keys = this.#sweeps.get(sweep);
		if (keys === undefined) this.#sweeps.set(sweep, new Set([key]));
		else keys.add(key);
		if (sweep < this.#nextSweep) this.#waitFor(sweep);
	}

	delete(key: string): boolean {
		const entry = this.#entries.get(key);
		if (entry === undefined) return false;
		const sweep = sweepOf(entry.until);
		const keys = this.#sweeps.get(sweep);
		keys?.delete(key);
		if (keys?.size === 0) this.#sweeps.delete(sweep);
		return this.#entries.delete(key);
	}

	clear(): void {
		clearTimeout(this.#timer);
		this.#nextSweep = Number.POSITIVE_INFINITY;
		this.#sweeps.clear();
		this.#entries.clear();
	}

	/** From the oldest on; what was used since gets another round. To keep an exact order would make each `get` dearer. */
	#makeRoom(): void {
		for (const [key, entry] of this.#entries) {
			if (!entry.isUsed) {
				this.delete(key);
				return;
			}
			entry.isUsed = false;
			this.#entries.delete(key);
			this.#entries.set(key, entry);
		}
	}

	#waitFor(sweep: number): void {
		clearTimeout(this.#timer);
		this.#nextSweep = sweep;
		const wait = Math.min(Math.max(0, sweep - steadyNow()), longestTimer);
		this.#timer = setTimeout(() => this.#sweep(), wait).unref();
	}

	#sweep(): void {
		const now = steadyNow();
		let next = Number.POSITIVE_INFINITY;
		for (const [sweep, keys] of this.#sweeps) {
			if (sweep > now) {
				next = Math.min(next, sweep);
				continue;
			}
			this.#sweeps.delete(sweep);
			for (const key of keys) this.#entries.delete(key);
		}
		this.#nextSweep = Number.POSITIVE_INFINITY;
		if (next < Number.POSITIVE_INFINITY) this.#waitFor(next);
	}
}

/** When something is swept away that expires at a time. */
function sweepOf(until: number): number {
	return Math.ceil(until / sweepSpan) * sweepSpan;
}
