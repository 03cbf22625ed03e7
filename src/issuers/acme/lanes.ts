/** Does several things at a time, and no more than so many. */

/** What `work` gives for each item, in their order. Once one fails, no further one is begun, and it rejects. */
export async function inLanes<Item, Result>(
	items: readonly Item[],
	lanes: number,
	work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
	const results: Result[] = [];
	let next = 0;
	let hasFailed = false;
	const lane = async (): Promise<void> => {
		while (next < items.length && !hasFailed) {
			const index = next++;
			try {
				results[index] = await work(items[index] as Item, index);
			} catch (error) {
				hasFailed = true;
				throw error;
			}
		}
	};
	// All end before this does: nothing goes on behind the caller's back.
	const ended = await Promise.allSettled(Array.from({length: Math.min(lanes, items.length)}, lane));
	const failure = ended.find(one => one.status === 'rejected');
	if (failure !== undefined) throw failure.reason;
	return results;
}
