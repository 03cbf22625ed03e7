/** Several ways to the same thing, the next one tried before one that keeps silent has used up everybody's time. */

/**
 * What the first way that leads there gives. The next one is tried when one fails, or has taken `headStart` milliseconds;
 * what is under way at the end is aborted.
 *
 * @throws {AggregateError} with the error of each way, in their order, where none leads there.
 */
export async function firstOf<Result>(
	ways: readonly ((signal: AbortSignal) => Promise<Result>)[],
	headStart: number,
	signal: AbortSignal,
): Promise<Result> {
	const over = new AbortController();
	const underWay: Promise<Result>[] = [];
	const results: Result[] = [];
	const arrived = Promise.withResolvers<void>();
	try {
		for (const way of ways) {
			const attempt = way(AbortSignal.any([signal, over.signal]));
			underWay.push(attempt);
			const settled = attempt.then(
				result => {
					results.push(result);
					arrived.resolve();
				},
				// All failures are heard of at the end.
				() => {},
			);
			await noLongerThan(headStart, Promise.race([settled, arrived.promise]));
			if (results.length > 0) return results[0] as Result;
		}
		return await Promise.any(underWay);
	} finally {
		over.abort(new Error('another address was faster'));
	}
}

/** Wait for something, but not for longer than that many milliseconds. */
export async function noLongerThan(milliseconds: number, work: Promise<void>): Promise<void> {
	let timer: NodeJS.Timeout | undefined;
	const enough = new Promise<void>(resolve => {
		timer = setTimeout(resolve, milliseconds);
	});
	await Promise.race([work, enough]);
	clearTimeout(timer);
}
