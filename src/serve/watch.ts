/** Tells when a configuration on disk has changed: the file, what stands for it (a link), and `.env` beside it. */
import {type FSWatcher, readFileSync, watch} from 'node:fs';
import {dirname, join} from 'node:path';

/** Milliseconds without a change, so that a file which is being written is read when it is whole. */
const quiet = 200;

export interface Watching {
	stop(): void;
}

/** Call `changed` whenever the content of one of them is another one. */
export function watchConfiguration(file: string, changed: () => void): Watching {
	const files = [file, join(dirname(file), '.env')];
	let known = files.map(contentOf);
	let timer: NodeJS.Timeout | undefined;
	const look = (): void => {
		const found = files.map(contentOf);
		const isSame = found.every((content, index) => content === known[index]);
		known = found;
		if (!isSame) changed();
	};
	let watcher: FSWatcher | undefined;
	try {
		// The folder: editors put a new file in the place of the old one.
		watcher = watch(dirname(file), {persistent: false}, () => {
			clearTimeout(timer);
			timer = setTimeout(look, quiet).unref();
		});
		watcher.on('error', () => {});
	} catch {
		// Where nothing can be watched, looking now and then has to do.
	}
	const poll = setInterval(look, 10_000).unref();
	return {
		stop() {
			watcher?.close();
			clearTimeout(timer);
			clearInterval(poll);
		},
	};
}

function contentOf(file: string): string | undefined {
	try {
		return readFileSync(file, 'utf8');
	} catch {
		return undefined;
	}
}
