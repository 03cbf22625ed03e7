/** What is known of the clocks of servers that refuse a signature for its time. */
import type {AuthResponse} from '../../src/strategy/index.ts';

/** Milliseconds that clocks may differ: AWS takes fifteen minutes, others five. */
const tolerance = 4 * 60_000;
/** Origins of which the clock is kept. */
const mostClocks = 1000;
/** How servers refuse a signature that they think is too old, or of the future. */
const refusals: readonly number[] = [400, 401, 403];

export class ServerClocks {
	/** Milliseconds by which the clock of an origin is ahead of this machine's. */
	readonly #ahead = new Map<string, number>();

	/** What the clock of an origin says, as far as it is known: milliseconds since 1970. */
	now(origin: string): number {
		return Date.now() + (this.#ahead.size === 0 ? 0 : (this.#ahead.get(origin) ?? 0));
	}

	/**
	 * Look at an answer to what was signed for a time. Where it is a refusal by another clock than that, the time is by
	 * that clock from now on.
	 *
	 * @returns whether that is so, and to sign once more could help.
	 */
	learn(origin: string, {status, headers}: AuthResponse, signedAt: number): boolean {
		if (!refusals.includes(status)) return false;
		const told = Date.parse(String(headers.date ?? ''));
		if (Number.isNaN(told) || Math.abs(told - signedAt) <= tolerance) return false;
		this.#ahead.delete(origin);
		this.#ahead.set(origin, told - Date.now());
		const [oldest] = this.#ahead.keys();
		if (this.#ahead.size > mostClocks && oldest !== undefined) this.#ahead.delete(oldest);
		return true;
	}

	clear(): void {
		this.#ahead.clear();
	}
}
