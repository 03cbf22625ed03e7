/** Work that is under way: shared by all who ask for it, and waited for within bounds. */

/** Run `work` for the key unless it is running already; either way, what comes of it. */
export function once<Result>(
	running: Map<string, Promise<Result>>,
	key: string,
	work: () => Promise<Result>,
): Promise<Result> {
	let promise = running.get(key);
	if (promise === undefined) {
		promise = work().finally(() => running.delete(key));
		running.set(key, promise);
	}
	return promise;
}

/** Wait until all have come to an end, but no longer than `limit` milliseconds. */
export async function settledWithin(limit: number, promises: Iterable<Promise<unknown>>): Promise<void> {
	const {promise: timeout, resolve} = Promise.withResolvers<void>();
	const timer = setTimeout(resolve, limit);
	await Promise.race([Promise.allSettled(promises), timeout]);
	clearTimeout(timer);
}
