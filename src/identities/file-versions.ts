/** Tells whether files have been replaced or written to, without reading them. Links are followed. */
import {stat} from 'node:fs/promises';

/**
 * A file that was changed less than this ago, in milliseconds, may change once more without its times telling: some
 * file systems count in steps of two seconds.
 */
const coarsestStep = 2000;

/** How some files stood at one time. */
export interface FileVersions {
	/** The same text as long as no file was replaced, written to, removed or made. */
	readonly text: string;
	/** Whether the same text later means that nothing has changed. */
	readonly isSettled: boolean;
}

export async function versionsOf(files: readonly string[]): Promise<FileVersions> {
	const now = Date.now();
	const versions = await Promise.all(
		files.map(async file => {
			try {
				const {dev, ino, size, mtimeNs, ctimeNs} = await stat(file, {bigint: true});
				const latest = Number((mtimeNs > ctimeNs ? mtimeNs : ctimeNs) / 1_000_000n);
				// A time in the future is another machine's, and may be told by a clock that is a little ahead.
				return {
					text: [dev, ino, size, mtimeNs, ctimeNs].join(),
					isSettled: Math.abs(now - latest) > coarsestStep,
				};
			} catch (error) {
				return {text: String((error as NodeJS.ErrnoException).code), isSettled: true};
			}
		}),
	);
	return {
		text: versions.map(({text}) => text).join('\n'),
		isSettled: versions.every(({isSettled}) => isSettled),
	};
}
