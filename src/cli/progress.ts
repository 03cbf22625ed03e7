/** A sign of life on a terminal, for what takes over half a second. */
import process from 'node:process';

/** Milliseconds before anything is shown. */
const patience = 500;

/** The sign that was wanted last. */
let latest: Progress | undefined;

export interface Progress {
	/** Take the sign away, before anything else is printed. */
	stop(): void;
}

/** Show `text` after a while, on stderr, if that is a terminal. */
export function startProgress(text: string, wanted = true): Progress {
	const {stderr, env} = process;
	if (!wanted || !stderr.isTTY || env.TERM === 'dumb' || 'CI' in env) return {stop() {}};
	let stopped = false;
	let stopSpinner = (): void => {};
	const timer = setTimeout(async () => {
		const {default: yoctoSpinner} = await import('yocto-spinner');
		if (stopped) return;
		// Signals are main.ts's business: it ends the process, and that stops the spinner.
		const spinner = yoctoSpinner({text, stream: stderr, handleSignals: false}).start();
		const showCursor = (): void => void spinner.stop();
		process.once('exit', showCursor);
		stopSpinner = () => {
			process.off('exit', showCursor);
			spinner.stop();
		};
	}, patience);
	latest = {
		stop() {
			stopped = true;
			clearTimeout(timer);
			stopSpinner();
		},
	};
	return latest;
}

/** Take away whatever sign there is: a question is about to be asked. */
export function stopProgress(): void {
	latest?.stop();
}

/** Do `work`, with a sign of life as long as it takes. */
export async function withProgress<Result>(
	text: string,
	wanted: boolean,
	work: () => Promise<Result>,
): Promise<Result> {
	const progress = startProgress(text, wanted);
	try {
		return await work();
	} finally {
		progress.stop();
	}
}
