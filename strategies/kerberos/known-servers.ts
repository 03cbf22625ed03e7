/**
 * The servers that have proven themselves to a rule. Many remember a connection or a session from then on, and answer
 * without a challenge, and so without a proof. To send a token along brings the proof back, in one round trip.
 */

/** A wildcard rule may meet any number of them. */
const most = 1000;

/** `proves`: it has proven itself. `remembers`: after that, it has answered without a challenge. */
export type Known = 'proves' | 'remembers';

export class KnownServers {
	/** In the order in which they were last met. */
	readonly #servers = new Map<string, Known>();

	get(name: string): Known | undefined {
		return this.#servers.get(name);
	}

	note(name: string, isSilent: boolean): void {
		const known = isSilent ? 'remembers' : (this.#servers.get(name) ?? 'proves');
		this.#servers.delete(name);
		this.#servers.set(name, known);
		if (this.#servers.size <= most) return;
		const [oldest] = this.#servers.keys();
		this.#servers.delete(oldest as string);
	}
}
