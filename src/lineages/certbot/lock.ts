/**
 * Keeps two programs from changing one folder at once: certbot and gatepass, or two of either.
 *
 * certbot takes a record lock on `.certbot.lock` and removes the file at the end. A record lock of ours would be gone as
 * soon as this process closes the file once, wherever; `flock` would not exclude certbot. An open file description
 * lock (`F_OFD_SETLK` of Linux) excludes it and stays. Node has no call for it: koffi makes it where it is installed, else
 * Python does, which certbot brings.
 */
import {type ChildProcess, spawn} from 'node:child_process';
import {accessSync, constants} from 'node:fs';
import {open, readFile, rm} from 'node:fs/promises';
import {hostname} from 'node:os';
import {join} from 'node:path';
import {GatepassError} from '../../errors.ts';
import {findLockCall, type LockCall, lockFile} from './native-lock.ts';

/** Say `locked`, `taken` or an error; hold the lock until the standard input ends. */
const script = `
import fcntl, os, struct, sys
path = sys.argv[1]
request = getattr(fcntl, 'F_OFD_SETLK', 37)
whole = struct.pack('hhqqi4x', fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
while True:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.fcntl(file, request, whole)
    except OSError as error:
        print('taken' if error.errno in (11, 13) else error, flush=True)
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
sys.stdin.read()
os.unlink(path)
`;

const pythons = ['/usr/bin/python3', '/usr/local/bin/python3'];

/**
 * Do `work` while nobody else changes the folder.
 *
 * @throws {GatepassError} where somebody else is at it.
 */
export async function withLock<Result>(folder: string, work: () => Promise<Result>): Promise<Result> {
	const release = await acquire(folder);
	try {
		return await work();
	} finally {
		await release();
	}
}

/** Gives what lets it go again. */
async function acquire(folder: string): Promise<() => void | Promise<void>> {
	const file = join(folder, '.certbot.lock');
	const call = await findLockCall();
	if (call !== undefined) return lockHere(call, file, folder);
	const python = pythons.find(isProgram);
	return python === undefined ? lockBetweenOurs(folder) : lockWith(python, file, folder);
}

function lockHere(call: LockCall, file: string, folder: string): () => void {
	let release: (() => void) | undefined;
	try {
		release = lockFile(file, call);
	} catch (error) {
		throw notLockable(file, (error as NodeJS.ErrnoException).code ?? (error as Error).message);
	}
	if (release === undefined) throw taken(folder);
	return release;
}

async function lockWith(python: string, file: string, folder: string): Promise<() => Promise<void>> {
	const holder = spawn(python, ['-I', '-S', '-c', script, file], {stdio: ['pipe', 'pipe', 'pipe']});
	const ended = new Promise<void>(done => holder.once('close', () => done()));
	const said = await firstLine(holder);
	if (said === 'locked') {
		return async () => {
			holder.stdin?.end();
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

/**
 * Without Python there is no certbot either, so only processes of gatepass have to be kept apart: also on other machines
 * where the folder is shared, of whose processes nobody here knows whether they run.
 */
async function lockBetweenOurs(folder: string): Promise<() => Promise<void>> {
	const file = join(folder, '.gatepass.lock');
	for (;;) {
		try {
			const handle = await open(file, 'wx', 0o600);
			await handle.writeFile(`${process.pid} ${hostname()}`);
			await handle.close();
			return () => rm(file, {force: true});
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
		}
		const [pid, host] = (await readFile(file, 'utf8').catch(() => '')).split(' ');
		if (host !== undefined && host !== hostname())
			throw taken(folder, ` on ${host}: remove ${file} if it is no more`);
		if (Number(pid) > 0 && isRunning(Number(pid))) throw taken(folder);
		// Left behind by a process that was killed.
		await rm(file, {force: true});
	}
}

function taken(folder: string, where = ''): GatepassError {
	return new GatepassError({
		code: 'lineage-locked',
		what: `Another program is changing ${folder}: certbot, or another gatepass${where}`,
		hint: 'Run this again when it is through',
	});
}

function isRunning(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		return (error as NodeJS.ErrnoException).code === 'EPERM';
	}
}

function isProgram(file: string): boolean {
	try {
		accessSync(file, constants.X_OK);
		return true;
	} catch {
		return false;
	}
}
