/**
 * What work costs this process itself, for tests that say "takes no time" or "holds nothing up". The clock would tell
 * what else the machine does, too. A bound on it is far above what the work takes, so that only the fault reaches it.
 */

const milliseconds = ({user, system}: NodeJS.CpuUsage): number => (user + system) / 1000;

/** Milliseconds of CPU, of all threads of this process, that `work` takes. */
export async function cpuOf(work: () => unknown): Promise<number> {
	const before = process.cpuUsage();
	await work();
	return milliseconds(process.cpuUsage(before));
}

/** What the thread that runs the tests has taken; from Node 23.9 on, without the threads of the pool. */
const threadUsage = (): number => milliseconds((process.threadCpuUsage ?? process.cpuUsage)());

/** What the turns of the event loop were like while some work was under way. */
export interface Turns {
	readonly count: number;
	/** Milliseconds of CPU that the longest one took: for so long nothing else could run. */
	readonly longest: number;
}

/** Watch the event loop during `work`. */
export async function turnsDuring(work: () => unknown): Promise<Turns> {
	let [count, longest] = [0, 0];
	let last = threadUsage();
	const look = (): void => {
		const now = threadUsage();
		longest = Math.max(longest, now - last);
		last = now;
	};
	const turn = (): void => {
		look();
		count += 1;
		next = setImmediate(turn);
	};
	let next = setImmediate(turn);
	try {
		await work();
		look();
	} finally {
		clearImmediate(next);
	}
	return {count, longest};
}
