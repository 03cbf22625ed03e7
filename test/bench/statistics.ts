/** The few statistics that the bench reports. */

/** What a series of measurements comes to. */
export interface Summary {
	readonly median: number;
	readonly min: number;
	readonly max: number;
}

/** The median with the extremes beside it, so that a reader sees how far the series spreads. */
export function summarise(values: readonly number[]): Summary {
	if (values.length === 0) throw new RangeError('There is nothing to summarise');
	const sorted = values.toSorted((a, b) => a - b);
	const middle = sorted.length >> 1;
	const upper = sorted[middle] as number;
	const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
	return {median, min: sorted[0] as number, max: sorted.at(-1) as number};
}

export function medianOf(values: readonly number[]): number {
	return summarise(values).median;
}
