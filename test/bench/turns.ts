/** Lets the sides of a comparison take turns in short rounds, so that what the machine does besides meets all alike. */

export interface Turns {
	/** Rounds that do not count. */
	readonly warmUp: number;
	readonly counted: number;
}

/** What each side gave in each round that counts. */
export async function takeTurns<Result>(
	sides: readonly (() => Promise<Result>)[],
	{warmUp, counted}: Turns,
): Promise<Result[][]> {
	const results: Result[][] = sides.map(() => []);
	for (let round = 0; round < warmUp + counted; round++) {
		// Another one begins each time: to follow oneself, or to come last on a machine that gets slower, favours nobody.
		const order = sides.map((_, place) => (round + place) % sides.length);
		for (const index of order) {
			const result = await sides[index]?.();
			if (result !== undefined && round >= warmUp) results[index]?.push(result);
		}
	}
	return results;
}
