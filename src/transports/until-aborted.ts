/** Waits for work no longer than its caller wants. */

/**
 * Begin `work`, and reject with the signal's reason as soon as it is aborted. What is under way then goes on by
 * itself, within its own limits, and nobody hears of it.
 */
export async function untilAborted<Result>(
	work: () => Promise<Result>,
	signal: AbortSignal | undefined,
): Promise<Result> {
	signal?.throwIfAborted();
	const result = work();
	if (signal === undefined) return result;
	const aborted = Promise.withResolvers<never>();
	const abort = (): void => aborted.reject(signal.reason);
	signal.addEventListener('abort', abort, {once: true});
	try {
		return await Promise.race([result, aborted.promise]);
	} finally {
		signal.removeEventListener('abort', abort);
	}
}
