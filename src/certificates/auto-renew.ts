/** Looks for what is due again and again, inside of a service. It keeps no process alive that has nothing else to do. */
import {GatepassError} from '../errors.ts';
import type {ManagerParts} from './parts.ts';
import type {Look} from './renewing.ts';

/** Milliseconds between two looks, however soon something is due. */
const shortestPause = 1000;
/** Milliseconds until the folder is looked at again that another program is changing. */
const pauseWhereLocked = 60_000;

/** @param interval milliseconds between looks at most: what is due before is seen to when it is. */
export function renewAgainAndAgain(
	look: (signal: AbortSignal) => Promise<Look>,
	interval: number,
	report: ManagerParts['report'],
): {stop(): void} {
	const ended = new AbortController();
	const {signal} = ended;
	let timer: NodeJS.Timeout | undefined;
	const lookAndWait = async (): Promise<void> => {
		let due: number | undefined;
		try {
			const {result, next} = await look(signal);
			due = next;
			for (const {name, error} of result.failed) report?.({kind: 'failed', name, detail: error.message});
		} catch (error) {
			// Another program is at it, or the folder cannot be read: the next look may go better.
			if (isLocked(error)) due = Date.now() + pauseWhereLocked;
			if (!signal.aborted) report?.({kind: 'failed', detail: (error as Error).message});
		}
		// A retry in a minute is due in a minute.
		const pause = Math.min(interval, Math.max((due ?? Number.POSITIVE_INFINITY) - Date.now(), shortestPause));
		if (!signal.aborted) timer = setTimeout(() => void lookAndWait(), pause).unref();
	};
	void lookAndWait();
	return {
		stop() {
			ended.abort();
			clearTimeout(timer);
		},
	};
}

function isLocked(error: unknown): boolean {
	return error instanceof GatepassError && error.diagnostics.some(({code}) => code === 'lineage-locked');
}
