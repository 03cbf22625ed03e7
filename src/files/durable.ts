/**
 * Changes to files that are there in whole or not at all, whenever the process or the machine stops: what is new is
 * written beside its place, brought to the disk, and then renamed.
 */
import {randomBytes} from 'node:crypto';
import {type FileHandle, lstat, open, readdir, readlink, rename, rm, symlink} from 'node:fs/promises';
import {basename, dirname, join} from 'node:path';
import {GatepassError} from '../errors.ts';

/** Names that {@link temporaryBeside} gives; those that a process left behind can be removed. */
const temporaryName = /^\.new-(\d+)-[0-9a-f]{8}-/;

/** A path in the same folder that nobody else uses. */
export function temporaryBeside(path: string): string {
	const unique = `${process.pid}-${randomBytes(4).toString('hex')}`;
	return join(dirname(path), `.new-${unique}-${basename(path)}`);
}

/** Whether a name was given by {@link temporaryBeside} in a process that is no more. */
export function isLeftBehind(name: string): boolean {
	const pid = Number(temporaryName.exec(name)?.[1]);
	if (!(pid > 0)) return false;
	return pid !== process.pid && !isRunning(pid);
}

/** Whether a process of this machine has the number. */
export function isRunning(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		// EPERM: it runs, as another user.
		return (error as NodeJS.ErrnoException).code !== 'ESRCH';
	}
}

/** Remove what processes that are no more wrote beside a file, and never renamed. */
export async function removeLeftBehind(file: string): Promise<void> {
	const [folder, end] = [dirname(file), `-${basename(file)}`];
	for (const name of await readdir(folder).catch((): string[] => [])) {
		if (name.endsWith(end) && isLeftBehind(name)) await rm(join(folder, name), {force: true});
	}
}

/**
 * Write a new file and bring it to the disk. Its rights are `mode`, whatever the process's mask says. Its group is
 * `group` where this process may give it away.
 */
export async function writeToDisk(
	file: string,
	content: string | Buffer,
	mode: number,
	group?: number,
): Promise<void> {
	// Nobody reads it before it has its group.
	const handle = await open(file, 'wx', mode & 0o600);
	try {
		const isGiven = group === undefined || (await giveToGroup(handle, group));
		// What another group was to read, this process's own need not.
		await handle.chmod(isGiven ? mode : mode & 0o707);
		await handle.writeFile(content);
		await handle.sync();
	} catch (error) {
		// Half a file is nobody's, such as on a full disk.
		await rm(file, {force: true});
		throw error;
	} finally {
		await handle.close();
	}
}

async function giveToGroup(handle: FileHandle, group: number): Promise<boolean> {
	try {
		await handle.chown(process.getuid?.() ?? -1, group);
		return true;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
		return false;
	}
}

/** Put a file in the place of another one, or of none. */
export async function replaceFile(file: string, content: string | Buffer, mode: number): Promise<void> {
	const temporary = temporaryBeside(file);
	await writeToDisk(temporary, content, mode);
	await putInPlace(temporary, file);
}

/** Put a symbolic link in the place of a file, of another link, or of nothing. */
export async function replaceLink(link: string, target: string): Promise<void> {
	const temporary = temporaryBeside(link);
	await symlink(target, temporary);
	await putInPlace(temporary, link);
}

/** Rename, and bring the folder's list of names to the disk. */
export async function putInPlace(from: string, to: string): Promise<void> {
	try {
		await rename(from, to);
	} catch (error) {
		await rm(from, {recursive: true, force: true});
		throw error;
	}
	await syncFolder(dirname(to));
}

/** Bring a folder's list of names to the disk. */
export async function syncFolder(folder: string): Promise<void> {
	// Windows lets nobody do that to a folder.
	if (process.platform === 'win32') return;
	const handle = await open(folder, 'r');
	try {
		await handle.sync();
	} finally {
		await handle.close();
	}
}

/** Where a symbolic link leads; `undefined` where the path is no link, or nothing. */
export async function linkTarget(path: string): Promise<string | undefined> {
	try {
		return await readlink(path);
	} catch {
		return undefined;
	}
}

/** Whether there is anything of that name, be it a link that leads nowhere. */
export async function isThere(path: string): Promise<boolean> {
	try {
		await lstat(path);
		return true;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
		throw error;
	}
}

/** Do what writes into `folder`; a failure of the file system says which folder it is, and what to do. */
export async function writingInto<Result>(folder: string, work: () => Promise<Result>): Promise<Result> {
	try {
		return await work();
	} catch (error) {
		const {code, syscall} = error as NodeJS.ErrnoException;
		if (error instanceof GatepassError || code === undefined || syscall === undefined) throw error;
		throw new GatepassError(
			{
				code: 'output-not-writable',
				what: `${folder} cannot be written (${code})`,
				hint: hints[code] ?? otherPlace,
			},
			{
				cause: error,
			},
		);
	}
}

const otherPlace = 'Check its rights, or name another folder with --to';
const hints: Readonly<Record<string, string>> = {
	ENOSPC: 'Make room on the disk, and run the command again',
	EDQUOT: 'Your quota is used up: make room, and run the command again',
	ENOTDIR: 'A part of that path is a file: name another folder with --to',
	EROFS: 'The disk is read-only: name another folder with --to',
};
