/**
 * Changes to files of others that can be taken back. Each file is kept before it is touched, so that a process that is
 * killed at any point leaves a state that the next start puts right.
 *
 * ```
 * checkpoints/2026-11-28T10-15-00.000Z-1a2b/
 *   change.json     what was done to which file, and the hash of what was left there
 *   0, 1, …         the files as they were
 *   finished        absent: the change was not brought to its end
 * ```
 */
import {createHash, randomBytes} from 'node:crypto';
import {chmod, chown, mkdir, readdir, readFile, rm, stat} from 'node:fs/promises';
import {join} from 'node:path';
import {CheckpointError} from '../errors.ts';
import {
	putInPlace,
	removeLeftBehind,
	replaceFile,
	syncFolder,
	temporaryBeside,
	writeToDisk,
} from '../files/durable.ts';
import {whatOf} from '../reason.ts';

interface FileChange {
	readonly path: string;
	/** The file's rights; absent: there was no such file. */
	readonly mode?: number;
	/** Its owner and group, where they are not to be those of this process. */
	readonly uid?: number;
	readonly gid?: number;
	/** SHA-256 of what was written; absent as long as nothing was. */
	readonly after?: string;
}

/** A change that was made, as `history` shows it. */
export interface Checkpoint {
	readonly id: string;
	/** Milliseconds since 1970. */
	readonly at: number;
	readonly title: string;
	readonly files: readonly string[];
}

interface Record {
	readonly title: string;
	readonly at: number;
	readonly files: FileChange[];
	/** Once it is finished, nothing of it is kept. */
	isForGood?: boolean;
}

const finished = 'finished';

/** The rights of a file, and whose it is; what is absent stays. */
export interface Rights {
	readonly mode?: number | undefined;
	readonly uid?: number | undefined;
	readonly gid?: number | undefined;
}

/** A change under way. Finish it or take it back. */
export interface OpenChange {
	/** Keep a file as it is, then give it another content. Its rights and owner stay, unless others are given. */
	write(path: string, content: string, rights?: Rights): Promise<void>;
	finish(): Promise<void>;
	/** Finish, and keep nothing by which it could be taken back: for keys. */
	finishForGood(): Promise<void>;
	/** Restore every file. */
	undo(): Promise<void>;
}

export class Checkpoints {
	readonly #folder: string;

	constructor(folder: string) {
		this.#folder = folder;
	}

	/** Begin a change. What a process left half done before is put right first. */
	async begin(title: string): Promise<OpenChange> {
		await this.recover();
		const at = Date.now();
		const id = `${new Date(at).toISOString().replaceAll(':', '-')}-${randomBytes(2).toString('hex')}`;
		const place = join(this.#folder, id);
		await mkdir(place, {recursive: true, mode: 0o700});
		const record: Record = {title, at, files: []};
		await save(place, record);
		await syncFolder(this.#folder);
		return {
			write: async (path, content, rights = {}) => {
				let index = record.files.findIndex(file => file.path === path);
				if (index === -1) {
					index = record.files.length;
					record.files.push(await keep(place, index, path));
					await save(place, record);
				}
				const file = record.files[index] as FileChange;
				record.files[index] = {...file, after: hashOf(content)};
				await save(place, record);
				await put(path, content, {
					mode: rights.mode ?? file.mode ?? 0o644,
					uid: rights.uid ?? file.uid,
					gid: rights.gid ?? file.gid,
				});
			},
			finish: () => writeToDisk(join(place, finished), '', 0o600),
			finishForGood: async () => {
				record.isForGood = true;
				await save(place, record);
				await writeToDisk(join(place, finished), '', 0o600);
				await rm(place, {recursive: true, force: true});
			},
			undo: () => restore(place, record),
		};
	}

	/** Put right what a process left half done. Gives the titles of such changes. */
	async recover(): Promise<string[]> {
		const undone: string[] = [];
		for (const id of (await this.#ids()).reverse()) {
			const place = join(this.#folder, id);
			const record = await read(place);
			const isFinished = await isThere(join(place, finished));
			if (isFinished && record?.isForGood !== true) continue;
			// Without a record, nothing was touched yet.
			if (record === undefined || isFinished) await rm(place, {recursive: true, force: true});
			else {
				await restore(place, record);
				undone.push(record.title);
			}
		}
		return undone;
	}

	/** The newest first. */
	async history(): Promise<Checkpoint[]> {
		const found: Checkpoint[] = [];
		for (const id of (await this.#ids()).reverse()) {
			const place = join(this.#folder, id);
			const record = (await isThere(join(place, finished))) ? await read(place) : undefined;
			if (record === undefined) continue;
			const {at, title, files} = record;
			found.push({id, at, title, files: files.map(({path}) => path)});
		}
		return found;
	}

	/**
	 * Take the last changes back, the newest first. Gives those that were.
	 *
	 * @throws {CheckpointError} where there are not as many, or where a file was changed since: nothing is restored then.
	 */
	async rollback(count: number): Promise<Checkpoint[]> {
		await this.recover();
		const all = await this.history();
		if (!Number.isInteger(count) || count < 1 || count > all.length) {
			const there = all.length === 0 ? 'There is none' : `There are ${all.length}`;
			throw new CheckpointError({
				code: 'nothing-to-roll-back',
				what: `${count === 1 ? '1 change' : `${count} changes`} cannot be taken back`,
				hint: `${there}: see 'gatepass cert history'`,
			});
		}
		const chosen = all.slice(0, count);
		await this.#checkUntouched(chosen);
		for (const {id} of chosen) {
			const place = join(this.#folder, id);
			// From here on, a process that is killed goes on with this at its next start.
			await rm(join(place, finished));
			await syncFolder(place);
			await restore(place, (await read(place)) as Record);
		}
		return chosen;
	}

	/** A file that somebody has edited since would lose that, so it is left alone. */
	async #checkUntouched(chosen: readonly Checkpoint[]): Promise<void> {
		const seen = new Set<string>();
		for (const {id, title} of chosen) {
			for (const {path, after} of (await read(join(this.#folder, id)))?.files ?? []) {
				// What a newer one of these changes will restore is what this one left.
				if (seen.has(path) || after === undefined) continue;
				seen.add(path);
				const now = await readFile(path, 'utf8').catch(() => undefined);
				if (now !== undefined && hashOf(now) === after) continue;
				throw new CheckpointError({
					code: 'checkpoint-changed-since',
					what: `${path} was ${now === undefined ? 'removed' : 'changed'} since '${title}'. Nothing was taken back: it would be lost`,
					hint: 'Undo that by hand first, or keep both',
				});
			}
		}
	}

	async #ids(): Promise<string[]> {
		const names = await readdir(this.#folder).catch((): string[] => []);
		return names.filter(name => /^\d{4}-/.test(name)).sort();
	}
}

async function keep(place: string, index: number, path: string): Promise<FileChange> {
	const [content, stats] = await Promise.all([
		readFile(path).catch((error: NodeJS.ErrnoException) => {
			if (error.code !== 'ENOENT') throw error;
			return undefined;
		}),
		stat(path).catch(() => undefined),
	]);
	if (content === undefined || stats === undefined) return {path};
	await writeToDisk(join(place, String(index)), content, 0o600);
	return {path, mode: stats.mode & 0o7777, uid: stats.uid, gid: stats.gid};
}

/** Put every file back, the last one first; then the change is as if it had never been. */
async function restore(place: string, {title, files}: Record): Promise<void> {
	try {
		for (const [index, {path, mode, uid, gid, after}] of [...files.entries()].reverse()) {
			await removeLeftBehind(path);
			// It was kept, and never written.
			if (after === undefined) continue;
			if (mode === undefined) await rm(path, {force: true});
			else await put(path, await readFile(join(place, String(index))), {mode, uid, gid});
		}
		await rm(place, {recursive: true, force: true});
	} catch (error) {
		throw new CheckpointError(
			{
				code: 'checkpoint-failed',
				what: `'${title}' could not be taken back: ${whatOf(error)}`,
				hint: `The files as they were lie in ${place}; copy them to their places by hand`,
			},
			{cause: error},
		);
	}
}

/** Written beside its place, given away, and then renamed: nobody reads it before it has its rights. */
async function put(
	path: string,
	content: string | Buffer,
	{mode, uid, gid}: Rights & {mode: number},
): Promise<void> {
	const temporary = temporaryBeside(path);
	try {
		await writeToDisk(temporary, content, mode & 0o700);
		// Only root may give files away, and they are its own otherwise.
		const own = await stat(temporary);
		if ((uid ?? own.uid) !== own.uid || (gid ?? own.gid) !== own.gid)
			await chown(temporary, uid ?? own.uid, gid ?? own.gid);
		await chmod(temporary, mode);
	} catch (error) {
		await rm(temporary, {force: true});
		throw error;
	}
	await putInPlace(temporary, path);
}

async function save(place: string, record: Record): Promise<void> {
	await replaceFile(join(place, 'change.json'), JSON.stringify(record), 0o600);
}

async function read(place: string): Promise<Record | undefined> {
	try {
		return JSON.parse(await readFile(join(place, 'change.json'), 'utf8'));
	} catch {
		return undefined;
	}
}

async function isThere(path: string): Promise<boolean> {
	return (await stat(path).catch(() => undefined)) !== undefined;
}

function hashOf(content: string): string {
	return createHash('sha256').update(content).digest('hex');
}
