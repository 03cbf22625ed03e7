/** Tells whether a file has been replaced or written to since, without reading it. Links are followed. */
import {type BigIntStats, statSync} from 'node:fs';
import {stat} from 'node:fs/promises';

/**
 * Milliseconds for which a file that was changed may change once more without its stamp telling. Some file systems count
 * in whole seconds (ext2 and ext3 with small inodes, NFS over them), FAT in steps of two; the others by a clock that goes
 * on every few milliseconds.
 */
const coarseStep = 2000;
const fineStep = 100;

/** How a file, or several, stood at one time. */
export interface FileStamp {
	/** The same text as long as no file was replaced, written to, removed or made. */
	readonly text: string;
	/**
	 * Whether the same text later means that nothing has changed. Not where a file was changed just now: whoever has read
	 * it may have to read it once more.
	 */
	readonly isSettled: boolean;
}

/** The stamp of one file. One that cannot be looked at has the reason as its stamp. */
export async function stampOf(file: string): Promise<FileStamp> {
	try {
		return stampFrom(await stat(file, {bigint: true}));
	} catch (error) {
		return stampOfFailure(error);
	}
}

/** As {@link stampOf}, for those who cannot wait. */
export function stampOfSync(file: string): FileStamp {
	try {
		return stampFrom(statSync(file, {bigint: true}));
	} catch (error) {
		return stampOfFailure(error);
	}
}

/** One stamp for several files. */
export async function stampsOf(files: readonly string[]): Promise<FileStamp> {
	return joined(await Promise.all(files.map(stampOf)));
}

/** As {@link stampsOf}, for those who cannot wait. */
export function stampsOfSync(files: readonly string[]): FileStamp {
	return joined(files.map(stampOfSync));
}

/** The stamp of a file whose status is known. */
export function stampFrom(status: BigIntStats): FileStamp {
	const {dev, ino, size, mtimeNs, ctimeNs} = status;
	const latest = mtimeNs > ctimeNs ? mtimeNs : ctimeNs;
	const step = latest % 1_000_000_000n === 0n ? coarseStep : fineStep;
	return {
		text: [dev, ino, size, mtimeNs, ctimeNs].join(),
		// A time in the future is another machine's, and may be told by a clock that is a little ahead.
		isSettled: Math.abs(Date.now() - Number(latest / 1_000_000n)) > step,
	};
}

function stampOfFailure(error: unknown): FileStamp {
	return {text: String((error as NodeJS.ErrnoException).code), isSettled: true};
}

function joined(stamps: readonly FileStamp[]): FileStamp {
	return {
		text: stamps.map(({text}) => text).join('\n'),
		isSettled: stamps.every(({isSettled}) => isSettled),
	};
}
