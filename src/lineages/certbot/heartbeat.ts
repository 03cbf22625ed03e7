/** Keeps up a lock that ends by itself, for as long as its holder lives; and says when it is lost all the same. */
import {performance} from 'node:perf_hooks';

/** Milliseconds, as each lock over machines has them. */
export interface Rhythm {
	/** How long a holder may give no sign of life before others take the lock. */
	readonly patience: number;
	/** How often it gives one. */
	readonly interval: number;
}

export const usualRhythm: Rhythm = {patience: 60_000, interval: 15_000};

export interface Heartbeat {
	/** Ends when somebody else has the lock, or may have it by now. */
	readonly lost: AbortSignal;
	/** Gives no sign any more. Resolves when none is under way. */
	stop(): Promise<void>;
}

/**
 * Give a sign of life again and again. It keeps no process alive.
 *
 * @param beat gives the sign: `false` where somebody else has the lock. What it throws, such as that a server is out of
 * reach, counts as no sign.
 * @param reason what `lost` ends with.
 */
export function keepBeating(
	beat: () => Promise<boolean>,
	{patience, interval}: Rhythm,
	reason: () => Error,
): Heartbeat {
	const lost = new AbortController();
	let [isStopped, lastSign] = [false, performance.now()];
	let timer: NodeJS.Timeout | undefined;
	let underWay = Promise.resolve();
	const sign = async (): Promise<void> => {
		const begun = performance.now();
		const isOurs = await beat().catch(() => undefined);
		if (isOurs === true) lastSign = begun;
		if (isStopped) return;
		if (isOurs === false || performance.now() - lastSign > patience) lost.abort(reason());
		else wait();
	};
	const wait = (): void => {
		timer = setTimeout(() => {
			underWay = sign();
		}, interval).unref();
	};
	wait();
	return {
		lost: lost.signal,
		async stop() {
			isStopped = true;
			clearTimeout(timer);
			await underWay;
		},
	};
}
