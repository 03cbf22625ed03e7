/**
 * The servers that have proven themselves to a rule. Many remember a connection or a session from then on, and answer
 * without a challenge, and so without a proof. To send a token along brings the proof back, in one round trip.
 */

/** A wildcard rule may meet any number of them. */
const most = 1000;

export class KnownServers {
	/** In the order in which they were last met. */
	readonly #names = new Set<string>();

	add(name: string): void {
		this.#names.delete(name);
		this.#names.add(name);
		if (this.#names.size <= most) return;
		const [oldest] = this.#names;
		this.#names.delete(oldest as string);
	}

	has(name: string): boolean {
		return this.#names.has(name);
	}
}
