/** What an authorization server's clock says, as far as its answers tell: assertions and proofs carry a time. */

/** A difference, in milliseconds, that is worth a second try. */
const tellingDifference = 5000;

export class ServerClock {
	/**
	 * Milliseconds that the server's clock is ahead of ours, as its last answer said. Round it down for what is sent:
	 * some servers refuse what comes from the future, be it half a second.
	 */
	#skew = 0;

	get skew(): number {
		return this.#skew;
	}

	/** Our time as the server counts it. */
	toServers(time: number): number {
		return time + this.#skew;
	}

	/** Take note of the `Date` of an answer to what was sent at `requestedAt`. */
	learn(dateHeader: string | null, requestedAt: number): void {
		const date = Date.parse(dateHeader ?? '');
		if (Number.isNaN(date)) return;
		// The header has whole seconds, and the answer took its time: less than that is no difference.
		const slack = Date.now() - requestedAt + 2000;
		const skew = date - requestedAt;
		this.#skew = Math.abs(skew) > slack ? skew : 0;
	}

	/** Whether the server has turned out to count the time differently from what was thought. */
	hasChangedSince(skewBefore: number): boolean {
		return Math.abs(this.#skew - skewBefore) > tellingDifference;
	}
}
