/**
 * Puts right what a process left half done that was killed while it changed the folder. Before a step that takes more
 * than one operation, a file says what is about to be done (`gatepass/pending/NAME.creating`, `NAME.deleting`); and as long
 * as anybody changes anything, there is `gatepass/pending/busy`. Where that is found under the lock, its process is no more.
 */
import {lstat, readdir, rm, stat, writeFile} from 'node:fs/promises';
import {basename, join} from 'node:path';
import {isLeftBehind, replaceLink, syncFolder} from '../../files/durable.ts';
import {type CertbotFolder, kinds} from './folder.ts';

/** The disk is full, read-only or broken, or there are too many open files: then steps may be left half done. */
const diskFailures = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'ENFILE', 'EMFILE', 'EACCES', 'EPERM'];

type Step = 'creating' | 'deleting';

/** Say what is about to be done; gives what takes the word back. */
export async function announce(
	folder: CertbotFolder,
	name: string,
	step: Step,
): Promise<() => Promise<void>> {
	const file = join(pendingIn(folder), `${name}.${step}`);
	await writeFile(file, '', {mode: 0o600});
	await syncFolder(pendingIn(folder));
	return () => rm(file, {force: true});
}

/**
 * Do `work`, after what a killed process left is put right. Nobody else may change the folder meanwhile.
 *
 * @param told is given a sentence for each thing that was put right.
 */
export async function recovering<Result>(
	folder: CertbotFolder,
	told: (sentence: string) => void,
	work: () => Promise<Result>,
): Promise<Result> {
	const busy = join(pendingIn(folder), 'busy');
	if (await isThere(busy)) for (const sentence of await recover(folder)) told(sentence);
	await writeFile(busy, '', {mode: 0o600});
	try {
		const result = await work();
		await rm(busy, {force: true});
		return result;
	} catch (error) {
		// Where the disk failed, what is half done stays so, and the next start looks at it.
		if (!isOfTheDisk(error)) await rm(busy, {force: true});
		throw error;
	}
}

function isOfTheDisk(error: unknown): boolean {
	for (let one = error as NodeJS.ErrnoException | undefined; one instanceof Error; ) {
		if (diskFailures.includes(one.code ?? '')) return true;
		one = one.cause as NodeJS.ErrnoException | undefined;
	}
	return false;
}

async function recover(folder: CertbotFolder): Promise<string[]> {
	const done: string[] = [];
	const pending = await namesIn(pendingIn(folder));
	for (const file of pending) {
		const [, name, step] = /^(.+)\.(creating|deleting)$/.exec(file) ?? [];
		if (name === undefined) continue;
		const isComplete = await isThere(folder.configuration(name));
		// The configuration comes last, and goes first: with it, all is there.
		if (step === 'deleting' || !isComplete) {
			await removeFiles(folder, name);
			done.push(
				step === 'deleting'
					? `'${name}' is deleted, which was not brought to its end`
					: `'${name}' was not brought to its end, and is taken back`,
			);
		}
		await rm(join(pendingIn(folder), file), {force: true});
	}
	for (const name of await folder.names()) {
		if (await relink(folder, name)) done.push(`'${name}' is in use again: its link was missing`);
	}
	await removeLeftBehind(folder.path);
	return done;
}

/** Remove all of a lineage but the copies of its keys. The configuration goes first: without it, nobody sees the rest. */
export async function removeFiles(folder: CertbotFolder, name: string): Promise<void> {
	await rm(folder.configuration(name), {force: true});
	await rm(folder.live(name), {recursive: true, force: true});
	for (const links of await linksFolders(folder, name)) await rm(links, {recursive: true, force: true});
	await rm(folder.archive(name), {recursive: true, force: true});
	await rm(join(folder.path, 'gatepass/credentials', `${name}.ini`), {force: true});
}

/** Folders of links of a lineage, beside `live/NAME`. */
export async function linksFolders(folder: CertbotFolder, name: string): Promise<string[]> {
	const live = join(folder.path, 'live');
	const prefix = `.${name}.`;
	return (await namesIn(live))
		.filter(file => file.startsWith(prefix) && /^\d+$/.test(file.slice(prefix.length)))
		.map(file => join(live, file));
}

/** Where certbot's folder was moved out of the way and the link was not made yet, there is none. */
async function relink(folder: CertbotFolder, name: string): Promise<boolean> {
	const place = folder.live(name);
	if ((await lstat(place).catch(() => undefined)) !== undefined) return false;
	for (const links of (await linksFolders(folder, name)).reverse()) {
		const found = await Promise.all(kinds.map(kind => isThere(join(links, `${kind}.pem`))));
		if (!found.every(Boolean)) continue;
		await replaceLink(place, basename(links));
		return true;
	}
	return false;
}

/** Files that were written beside their place, and never renamed; of ours alone, by their name. */
async function removeLeftBehind(folder: string): Promise<void> {
	for (const entry of await readdir(folder, {withFileTypes: true}).catch(() => [])) {
		const path = join(folder, entry.name);
		if (isLeftBehind(entry.name)) await rm(path, {recursive: true, force: true});
		else if (entry.isDirectory()) await removeLeftBehind(path);
	}
}

function pendingIn(folder: CertbotFolder): string {
	return join(folder.path, 'gatepass/pending');
}

async function namesIn(folder: string): Promise<string[]> {
	return readdir(folder).catch((): string[] => []);
}

async function isThere(path: string): Promise<boolean> {
	return (await stat(path).catch(() => undefined)) !== undefined;
}
