/** Bounds the work that a file asks for before its passphrase can be tried: it is whoever wrote the file that chooses it. */

/** OpenSSL writes 2048 rounds, browsers 600,000, careful people a few millions. SHA-256 takes some three seconds for as many. */
const mostAtOnce = 5_000_000;
/** Of all that one file holds together: several identities have a key each. */
const mostTogether = 12_000_000;

/** A file asks for more work than is done for any file. */
export class TooMuchWork extends Error {
	/** How many, in words. */
	readonly rounds: string;

	constructor(rounds: number) {
		super('It asks for too many rounds');
		this.rounds = Number.isFinite(rounds) ? String(rounds) : 'countless';
	}
}

/** The work for one file, in rounds of a hash. */
export class WorkBudget {
	#spent = 0;

	/**
	 * Count work before it is done.
	 *
	 * @throws {TooMuchWork} where it is too much.
	 */
	spend(rounds: number): void {
		const together = this.#spent + rounds;
		this.#spent = together;
		// Numbers of a file may make none together: infinity times nothing. That must not switch the bound off.
		if (rounds <= mostAtOnce && together <= mostTogether) return;
		this.#spent = Number.POSITIVE_INFINITY;
		throw new TooMuchWork(Math.max(rounds, together));
	}
}
