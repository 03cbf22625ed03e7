/** What an authorization server's clock says, as far as its answers tell: assertions and proofs carry a time. */

/** A difference, in milliseconds, that is worth a second try. */
const tellingDifference = 5000;

/**
 * Seconds by which what is sent is dated back: a clock that is ahead by less is as good as right, and few servers take
 * what comes from the future, be it half a second.
 */
const backdating = 5;

export class ServerClock {
	/** Milliseconds that the server's clock is ahead of this machine's; 0 where they agree, as far as that can be told. */
	skew = 0;
	/** Whether an answer has told. */
	isKnown = false;
	/** Milliseconds by which what is sent now differs from this machine's clock. */
	offset = 0;
	/** Whether what is sent goes by the server's clock: only after what went by ours was refused. */
	#followsServer = false;

	/** When what is sent now was made, in seconds since 1970. */
	issuedAt(): number {
		return Math.floor((Date.now() + this.offset) / 1000) - backdating;
	}

	/** The last answer told another difference. */
	learn(skew: number): void {
		this.skew = skew;
		this.offset = this.#followsServer ? skew : 0;
	}

	/**
	 * What was sent with these offsets was refused: use another from now on. That is the server's clock, as its last answer
	 * told it, or this machine's: the `Date` may be that of a balancer whose clock is wrong. Returns whether there is one.
	 */
	switchFrom(refused: readonly number[]): boolean {
		for (const offset of [this.skew, 0]) {
			if (refused.some(other => Math.abs(other - offset) <= tellingDifference)) continue;
			this.#follow(offset !== 0);
			return true;
		}
		return false;
	}

	/** It was not the time: go on with the clock that was used before. */
	switchBack(offset: number): void {
		this.#follow(offset !== 0);
	}

	#follow(followsServer: boolean): void {
		this.#followsServer = followsServer;
		this.offset = followsServer ? this.skew : 0;
	}
}
