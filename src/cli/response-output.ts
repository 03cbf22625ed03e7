/** Where the bytes of a response go: to stdout, or to a file that only a whole response replaces. */
import {randomBytes} from 'node:crypto';
import {createWriteStream} from 'node:fs';
import {realpath, rename, rm, stat} from 'node:fs/promises';
import {basename, dirname, join} from 'node:path';
import process from 'node:process';
import {type Readable, Transform} from 'node:stream';
import {pipeline} from 'node:stream/promises';
import {GatepassError} from '../errors.ts';

/** Write everything to stdout as it comes. */
export async function writeToStdout(head: string, body: Readable): Promise<void> {
	if (head !== '') process.stdout.write(head);
	let last = 10;
	const watch = new Transform({
		transform(chunk: Buffer, _encoding, done) {
			last = chunk.at(-1) ?? last;
			done(null, chunk);
		},
	});
	try {
		await pipeline(body, watch, process.stdout, {end: false});
	} finally {
		// On a terminal the prompt would stand behind the body; elsewhere the body stays as it is.
		if (process.stdout.isTTY && last !== 10) process.stdout.write('\n');
	}
}

/**
 * Write everything to `file`. It is written beside its place and moved there when it is whole, so a transfer that
 * breaks off leaves what was there before. A device or pipe is written to directly.
 */
export async function writeToFile(file: string, head: string, body: Readable): Promise<void> {
	const target = await resolveTarget(file);
	const path = target.replace
		? join(dirname(target.path), `.${basename(target.path)}.${randomBytes(4).toString('hex')}.part`)
		: target.path;
	// An interrupted transfer leaves nothing behind; `exit` leaves no time for more than this.
	const discard = (): void => {
		if (target.replace) process.getBuiltinModule('node:fs').rmSync(path, {force: true});
	};
	process.once('exit', discard);
	try {
		const sink = createWriteStream(path, target.mode === undefined ? {} : {mode: target.mode});
		if (head !== '') sink.write(head);
		await pipeline(body, sink);
		if (target.replace) await rename(path, target.path);
	} catch (error) {
		if (target.replace) await rm(path, {force: true});
		throw explainWriteFailure(error, path, file);
	} finally {
		process.off('exit', discard);
	}
}

interface Target {
	readonly path: string;
	/** Whether the file may be replaced by another; a device may not. */
	readonly replace: boolean;
	/** The rights of the file that is there. */
	readonly mode?: number;
}

async function resolveTarget(file: string): Promise<Target> {
	try {
		const path = await realpath(file);
		const information = await stat(path);
		return {
			path,
			replace: information.isFile(),
			...(information.isFile() && {mode: information.mode & 0o777}),
		};
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainWriteFailure(error, file, file);
		return {path: file, replace: true};
	}
}

/** Node names the file beside the place, which nobody has heard of. */
function explainWriteFailure(error: unknown, written: string, file: string): unknown {
	const {code, path, syscall} = error as NodeJS.ErrnoException;
	if (path === undefined || syscall === undefined || (path !== written && path !== file)) return error;
	return new GatepassError(
		{
			code: 'output-not-writable',
			what: `${file} cannot be written (${code})`,
			hint: 'Name another file with -o',
		},
		{cause: error},
	);
}
