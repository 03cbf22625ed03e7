/**
 * Keeps two programs from changing one folder at once: certbot and gatepass, or two of either, on one machine or, of
 * gatepass, on several that share the folder.
 *
 * certbot takes a record lock on `.certbot.lock` and removes the file at the end. A record lock of ours would be gone as
 * soon as this process closes the file once, wherever; `flock` would not exclude certbot. An open file description
 * lock (`F_OFD_SETLK` of Linux) excludes it and stays. Node has no call for it: koffi makes it where it is installed. Else
 * Python, which certbot brings, takes a record lock in a process of its own, which opens that file and no other.
 *
 * Other machines are kept out by a file of ours, and by a lease in the token store where one is shared.
 */
import {type ChildProcess, spawn} from 'node:child_process';
import {accessSync, constants, existsSync} from 'node:fs';
import {hostname} from 'node:os';
import {join} from 'node:path';
import {GatepassError} from '../../errors.ts';
import {type Rhythm, usualRhythm} from './heartbeat.ts';
import {findLockCall, type LockCall, lockFile} from './native-lock.ts';
import {type SharedLock, sharedLockName, takeSharedLock} from './shared-lock.ts';

/** Say `locked`, `taken` or an error; hold the lock until the standard input ends, and keep its file where that says so. */
const script = `
import errno, fcntl, os, sys
path = sys.argv[1]
while True:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        print('taken' if error.errno in (errno.EAGAIN, errno.EACCES) else error, flush=True)
        sys.exit()
    # Whoever had it before may have removed the file: then this is a lock on nothing.
    try:
        there = os.stat(path)
        mine = os.fstat(file)
        if (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino):
            break
    except FileNotFoundError:
        pass
    os.close(file)
print('locked', flush=True)
if sys.stdin.read() != 'keep':
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
`;

const pythons = ['/usr/bin/python3', '/usr/local/bin/python3'];

/** Lets a lock go again. @param keep whether its file is to stay: another machine has locked that, too. */
type Release = (keep?: boolean) => void | Promise<void>;

/** Takes a lease, whose holder gives signs of life in this rhythm. @param reason what it ends with where it is lost. */
type Lease = (rhythm: Rhythm, reason: () => Error) => Promise<SharedLock | 'held' | undefined>;

export interface LockSettings {
	/** A lease in a store that other machines may share, too; absent: there is none. */
	readonly lease?: Lease | undefined;
	/** How a holder shows other machines that it is there. */
	readonly rhythm?: Rhythm;
}

/**
 * Do `work` while nobody else changes the folder.
 *
 * @param work is given a signal that ends where the lock is lost: this machine stood still for so long, or was so long
 * without its network, that another one goes on.
 * @throws {GatepassError} where somebody else is at it.
 */
export async function withLock<Result>(
	folder: string,
	work: (lost: AbortSignal) => Promise<Result>,
	{lease, rhythm = usualRhythm}: LockSettings = {},
): Promise<Result> {
	const releases: Release[] = [];
	try {
		const kernels = await takeKernelLock(folder);
		if (kernels !== undefined) releases.push(() => kernels(existsSync(join(folder, sharedLockName))));
		const files = await takeSharedLock(folder, kernels !== undefined, () => lost(folder), rhythm).catch(
			error => {
				throw notLockable(join(folder, sharedLockName), reasonOf(error));
			},
		);
		if (!('release' in files)) throw taken(folder, files.host);
		releases.unshift(files.release);
		const stores = await lease?.(rhythm, () => lost(folder));
		if (stores === 'held') throw taken(folder, 'another machine');
		if (stores !== undefined) releases.unshift(stores.release);
		return await work(AbortSignal.any([files, stores ?? []].flat().map(each => each.lost)));
	} finally {
		// The last one first, and each of them: what stays behind is found to be nobody's.
		for (const release of releases) await (async () => release())().catch(() => {});
	}
}

/** `undefined`: nothing here can take it. Then there is no certbot either. */
async function takeKernelLock(folder: string): Promise<Release | undefined> {
	const file = join(folder, '.certbot.lock');
	const call = await findLockCall();
	if (call !== undefined) return lockHere(call, file, folder);
	const python = pythons.find(isProgram);
	return python === undefined ? undefined : lockWith(python, file, folder);
}

function lockHere(call: LockCall, file: string, folder: string): Release {
	let release: Release | undefined;
	try {
		release = lockFile(file, call);
	} catch (error) {
		throw notLockable(file, reasonOf(error));
	}
	if (release === undefined) throw taken(folder);
	return release;
}

async function lockWith(python: string, file: string, folder: string): Promise<Release> {
	const holder = spawn(python, ['-I', '-S', '-c', script, file], {stdio: ['pipe', 'pipe', 'pipe']});
	const ended = new Promise<void>(done => holder.once('close', () => done()));
	const said = await firstLine(holder);
	if (said === 'locked') {
		return async keep => {
			holder.stdin?.end(keep === true ? 'keep' : '');
			await ended;
		};
	}
	await ended;
	throw said === 'taken' ? taken(folder) : notLockable(file, said);
}

function notLockable(file: string, reason: string): GatepassError {
	return new GatepassError({
		code: 'output-not-writable',
		what: `${file} cannot be locked (${reason})`,
		hint: 'Check the rights of the folder',
	});
}

function firstLine(holder: ChildProcess): Promise<string> {
	return new Promise((resolve, reject) => {
		let [output, errors] = ['', ''];
		holder.stderr?.on('data', chunk => {
			errors += chunk;
		});
		holder.stdout?.on('data', chunk => {
			output += chunk;
			if (output.includes('\n')) resolve(output.split('\n')[0] as string);
		});
		holder.once('error', reject);
		holder.once('close', () => resolve(output.trim() || (errors.trim().split('\n').at(-1) ?? 'no answer')));
	});
}

function reasonOf(error: unknown): string {
	return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}

/** @param host where the other one runs, if that is known. */
function taken(folder: string, host?: string): GatepassError {
	const where = host === undefined || host === hostname() ? '' : ` on ${host.slice(0, 80)}`;
	return new GatepassError({
		code: 'lineage-locked',
		what: `Another program is changing ${folder}: certbot, or another gatepass${where}`,
		hint: 'Run this again when it is through',
	});
}

function lost(folder: string): GatepassError {
	return new GatepassError({
		code: 'lineage-locked',
		what: `This machine gave no sign of life for so long that another one may be changing ${folder}`,
		hint: 'Run this again when that one is through',
	});
}

function isProgram(file: string): boolean {
	try {
		accessSync(file, constants.X_OK);
		return true;
	} catch {
		return false;
	}
}
