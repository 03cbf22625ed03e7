/** Open file description locks (fcntl(2), `F_OFD_SETLK`) by a call of the C library, where koffi is installed. */
import {closeSync, constants, fstatSync, openSync, statSync, unlinkSync} from 'node:fs';
import process from 'node:process';

/** As the headers of Linux have them. */
const [setLock, writeLock, again, accessDenied] = [37, 1, 11, 13];
/** `struct flock` of 64-bit Linux; the rest of it is zero: from the start of the file, to its end. */
const sizeOfFlock = 32;

/** Lock the open file: 0, or the number of the error. */
export type LockCall = (file: number) => number;

let call: Promise<LockCall | undefined> | undefined;

/** `undefined`: koffi is not there, or the system is another. */
export function findLockCall(): Promise<LockCall | undefined> {
	call ??= load();
	return call;
}

async function load(): Promise<LockCall | undefined> {
	if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return undefined;
	try {
		const {default: koffi} = await import('koffi');
		// What this process has loaded already: a C library of any name.
		const fcntl = koffi.load(null).func('int fcntl(int file, int command, ...)');
		return file => {
			const request = Buffer.alloc(sizeOfFlock);
			request.writeInt16LE(writeLock, 0);
			return fcntl(file, setLock, 'void *', request) === 0 ? 0 : koffi.errno();
		};
	} catch {
		return undefined;
	}
}

/**
 * Lock a file, which is made where it is missing. Gives what lets it go and, unless told not to, removes it; `undefined`
 * where somebody else has it.
 *
 * @throws {Error} with the system's code where it cannot be opened or locked.
 */
export function lockFile(path: string, lock: LockCall): ((keep?: boolean) => void) | undefined {
	for (;;) {
		const file = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600);
		const error = lock(file);
		if (error !== 0) {
			closeSync(file);
			if (error === again || error === accessDenied) return undefined;
			throw Object.assign(new Error(`error ${error}`), {code: `error ${error}`});
		}
		// Whoever had it before may have removed the file: then this is a lock on nothing.
		const [mine, there] = [fstatSync(file), statSync(path, {throwIfNoEntry: false})];
		if (there?.ino === mine.ino && there.dev === mine.dev) {
			return keep => {
				try {
					if (keep !== true) unlinkSync(path);
				} catch (error) {
					// Another machine has removed it.
					if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
				} finally {
					closeSync(file);
				}
			};
		}
		closeSync(file);
	}
}
