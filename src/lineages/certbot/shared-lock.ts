/**
 * Keeps machines apart that share a folder: a file in it that says who is at it. The kernel's locks hold on one machine;
 * over a network they hold only where the file system passes them on, which NFS does and many others do not.
 *
 * The file appears in one step (a hard link, which fails where there is one), and its holder writes it again every few
 * seconds, so a holder that is gone is known by the file's age: by the clock that stamps all files of the folder, since
 * those of two machines differ. One of this machine that is gone is known at once: it would have the kernel's lock.
 */
import {randomUUID} from 'node:crypto';
import {readFileSync, readlinkSync, statSync} from 'node:fs';
import {type FileHandle, link, open, readFile, rename, rm, writeFile} from 'node:fs/promises';
import {hostname} from 'node:os';
import {join} from 'node:path';
import {isRunning, removeLeftBehind, temporaryBeside} from '../../files/durable.ts';
import {keepBeating, type Rhythm, usualRhythm} from './heartbeat.ts';

/** Who has the lock, as the file says. */
export interface Holder {
	readonly id: string;
	readonly host: string;
	readonly pid: number;
	/** Where a process of that number would be: the running kernel and its name space. */
	readonly processes?: string;
	/** Present where the kernel's lock was taken, too: others who get that one, there, know that this holder is gone. */
	readonly kernelLock?: string;
}

export interface SharedLock {
	readonly lost: AbortSignal;
	release(): Promise<void>;
}

export const sharedLockName = '.gatepass.lock';

/** Codes of file systems that have no hard links. */
const noLinks = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'];
/** Others may take the file away and make one, while this looks. */
const mostTries = 10;

/**
 * Take the lock, or give who has it.
 *
 * @param hasKernelLock whether this process has the kernel's lock on the folder.
 * @param reason what a lock ends with that is lost to somebody else.
 */
export async function takeSharedLock(
	folder: string,
	hasKernelLock: boolean,
	reason: () => Error,
	rhythm: Rhythm = usualRhythm,
): Promise<SharedLock | Partial<Holder>> {
	const file = join(folder, sharedLockName);
	const own = describeSelf(folder, hasKernelLock);
	const text = JSON.stringify(own);
	let holder: Partial<Holder> = {};
	for (let tries = 0; tries < mostTries; tries++) {
		if (await create(file, text)) {
			await removeLeftBehind(file);
			return hold(file, text, reason, rhythm);
		}
		const found = await look(file);
		if (found === undefined) continue;
		({holder} = found);
		if (!isGone(holder, own) && (await ageOf(file, found.writtenAt)) <= rhythm.patience) return holder;
		await takeAway(file, found.text);
	}
	return holder;
}

function describeSelf(folder: string, hasKernelLock: boolean): Holder {
	const own = {id: randomUUID(), host: hostname(), pid: process.pid};
	try {
		const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
		const processes = `${boot} ${readlinkSync('/proc/self/ns/pid')}`;
		return {...own, processes, ...(hasKernelLock && {kernelLock: `${boot} ${statSync(folder).dev}`})};
	} catch {
		// No Linux.
		return own;
	}
}

/** Whether the file is new, and this process's. */
async function create(file: string, text: string): Promise<boolean> {
	const temporary = temporaryBeside(file);
	await writeFile(temporary, text, {flag: 'wx', mode: 0o600});
	try {
		await link(temporary, file);
		return true;
	} catch (error) {
		const {code = ''} = error as NodeJS.ErrnoException;
		// Over NFS, an answer that was lost and asked for again may say so of one's own.
		if (code === 'EEXIST') return (await look(file))?.text === text;
		// Another machine took it for left behind: once more.
		if (code === 'ENOENT') return false;
		if (!noLinks.includes(code)) throw error;
	} finally {
		await rm(temporary, {force: true});
	}
	return createWithoutLinks(file, text);
}

/** Whoever looks before the text is there sees a holder without a name. */
async function createWithoutLinks(file: string, text: string): Promise<boolean> {
	try {
		await writeFile(file, text, {flag: 'wx', mode: 0o600});
		return true;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
		throw error;
	}
}

interface Found {
	readonly text: string;
	readonly holder: Partial<Holder>;
	/** By the clock of the file system. */
	readonly writtenAt: number;
}

/** Opened each time: over a network, that is when a file's times are asked for again. */
async function look(file: string): Promise<Found | undefined> {
	let handle: FileHandle;
	try {
		handle = await open(file, 'r');
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
		throw error;
	}
	try {
		const [text, {mtimeMs}] = [await handle.readFile('utf8'), await handle.stat()];
		return {text, holder: read(text), writtenAt: mtimeMs};
	} finally {
		await handle.close();
	}
}

function read(text: string): Partial<Holder> {
	try {
		return Object(JSON.parse(text));
	} catch {
		return {};
	}
}

function isGone({processes, kernelLock, pid}: Partial<Holder>, own: Holder): boolean {
	// This process has the kernel's lock that the other one had as long as it ran.
	if (kernelLock !== undefined && kernelLock === own.kernelLock) return true;
	const isHere = processes !== undefined && processes === own.processes;
	return isHere && !(isProcessNumber(pid) && isRunning(pid));
}

function isProcessNumber(pid: number | undefined): pid is number {
	return pid !== undefined && pid > 0 && pid === Math.trunc(pid) && pid < 2 ** 31;
}

/** Milliseconds since a file was written, by the clock that stamps a file written now. */
async function ageOf(file: string, writtenAt: number): Promise<number> {
	const temporary = temporaryBeside(file);
	const handle = await open(temporary, 'wx', 0o600);
	try {
		await handle.writeFile('now');
		await handle.sync();
		return (await handle.stat()).mtimeMs - writtenAt;
	} finally {
		await handle.close();
		await rm(temporary, {force: true});
	}
}

/** Remove the file with this text. One that somebody else has put there meanwhile comes back. */
async function takeAway(file: string, text: string): Promise<void> {
	const aside = temporaryBeside(file);
	try {
		await rename(file, aside);
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
		throw error;
	}
	if ((await readFile(aside, 'utf8').catch(() => text)) !== text) await link(aside, file).catch(() => {});
	await rm(aside, {force: true});
}

function hold(file: string, text: string, reason: () => Error, rhythm: Rhythm): SharedLock {
	const {lost, stop} = keepBeating(() => writeAgain(file, text), rhythm, reason);
	return {
		lost,
		async release() {
			await stop();
			// What is another's by now stays.
			if ((await look(file))?.text === text) await rm(file, {force: true});
		},
	};
}

/** The time of the last writing is what others look at. `false`: it is another's file by now. */
async function writeAgain(file: string, text: string): Promise<boolean> {
	if ((await look(file))?.text !== text) return false;
	const handle = await open(file, 'r+');
	try {
		await handle.write(text, 0);
		await handle.sync();
		return true;
	} finally {
		await handle.close();
	}
}
