/** What an authorization server's clock says, as far as its answers tell: assertions and proofs carry a time. */

/** A difference, in milliseconds, that is worth a second try. */
const tellingDifference = 5000;

/**
 * Seconds by which what is sent is dated back: a clock that is ahead by less is as good as right, and few servers take
 * what comes from the future, be it half a second.
 */
const backdating = 5;

export class ServerClock {
	/** Milliseconds that the server's clock is ahead of ours, as its last answer said. */
	#skew = 0;
	/** Whether what is sent goes by the server's clock: only after what went by ours was refused. */
	#followsServer = false;

	/** Our time, in milliseconds, as the server counts it. */
	toServers(time: number): number {
		return time + this.#skew;
	}

	/** When what is sent now was made, in seconds since 1970. */
	issuedAt(): number {
		return Math.floor((Date.now() + this.offset) / 1000) - backdating;
	}

	/**
	 * Take note of the `Date` of an answer.
	 *
	 * @param requestedAt when it was asked for, by this machine's clock.
	 * @param duration milliseconds from then to the answer, by a clock that is not set.
	 */
	learn(dateHeader: string | null, requestedAt: number, duration: number): void {
		const date = Date.parse(dateHeader ?? '');
		if (Number.isNaN(date)) return;
		// The header has whole seconds, and the answer took its time: less than that is no difference.
		const slack = duration + 2000;
		const skew = date - requestedAt;
		this.#skew = Math.abs(skew) > slack ? skew : 0;
	}

	/** Milliseconds that the server's clock is ahead of this machine's; 0 where they agree, as far as that can be told. */
	get skew(): number {
		return this.#skew;
	}

	/** Milliseconds by which what is sent now differs from this machine's clock. */
	get offset(): number {
		return this.#followsServer ? this.#skew : 0;
	}

	/**
	 * What was sent with these offsets was refused: use another from now on. That is the server's clock, as its last answer
	 * told it, or this machine's: the `Date` may be that of a balancer whose clock is wrong. Returns whether there is one.
	 */
	switchFrom(refused: readonly number[]): boolean {
		for (const [followsServer, offset] of [[true, this.#skew] as const, [false, 0] as const]) {
			if (refused.some(other => Math.abs(other - offset) <= tellingDifference)) continue;
			this.#followsServer = followsServer;
			return true;
		}
		return false;
	}

	/** It was not the time: go on with the clock that was used before. */
	switchBack(offset: number): void {
		this.#followsServer = offset !== 0;
	}
}
