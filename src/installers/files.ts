/** Copies a certificate and its key to where a service reads them, with the owner and the rights that it needs. */
import {execFile} from 'node:child_process';
import {chmod, chown, readFile, stat, unlink} from 'node:fs/promises';
import {promisify} from 'node:util';
import {GatepassError} from '../errors.ts';
import {putInPlace, temporaryBeside, writeToDisk} from '../files/durable.ts';
import {runHook} from './hooks.ts';
import type {DeployedLineage, Installer} from './installer.ts';

export interface FilesSettings {
	/** Absolute paths. The certificate's file gets the chain, too. */
	readonly certificate: string;
	readonly key: string;
	readonly chain?: string | undefined;
	/** Names or numbers. Default: those of the file that is there, else of this process. */
	readonly owner?: string | undefined;
	readonly group?: string | undefined;
	/** Of the key, in octal digits. Default: that of the file that is there, else `600`. */
	readonly mode?: string | undefined;
	/** Run by `/bin/sh`; has to end with 0. */
	readonly reloadCommand?: string | undefined;
}

interface Target {
	readonly path: string;
	readonly content: string;
	readonly mode: number;
}

interface Before {
	readonly path: string;
	/** Absent: there was no file. */
	readonly content?: Buffer;
	readonly mode: number;
	readonly uid: number;
	readonly gid: number;
}

export class FilesInstaller implements Installer {
	readonly name = 'files';
	readonly #settings: FilesSettings;

	constructor(settings: FilesSettings) {
		this.#settings = settings;
	}

	async deploy({paths}: DeployedLineage): Promise<void> {
		const {certificate, key, chain, mode = '', reloadCommand} = this.#settings;
		const before = await Promise.all([key, certificate, ...(chain === undefined ? [] : [chain])].map(lookAt));
		const [keyBefore] = before;
		const keyMode =
			mode === '' ? (keyBefore?.content === undefined ? 0o600 : keyBefore.mode) : Number.parseInt(mode, 8);
		const targets: Target[] = [
			{path: key, content: await readFile(paths.privkey, 'utf8'), mode: keyMode},
			{path: certificate, content: await readFile(paths.fullchain, 'utf8'), mode: 0o644},
			...(chain === undefined
				? []
				: [{path: chain, content: await readFile(paths.chain, 'utf8'), mode: 0o644}]),
		];
		try {
			const owner = await this.#owner();
			// All are written before the first is renamed, so that the pair is mixed for a moment only.
			const written: [temporary: string, path: string][] = [];
			for (const [index, {path, content, mode: rights}] of targets.entries()) {
				const temporary = temporaryBeside(path);
				await writeToDisk(temporary, content, rights & 0o700);
				const {uid, gid} = before[index] as Before;
				await chown(temporary, owner.uid ?? uid, owner.gid ?? gid);
				await chmod(temporary, rights);
				written.push([temporary, path]);
			}
			for (const [temporary, path] of written) await putInPlace(temporary, path);
			const failure = reloadCommand === undefined ? undefined : await runHook(reloadCommand, {});
			if (failure !== undefined) throw new GatepassError({code: 'hook-failed', what: failure, hint: ''});
		} catch (error) {
			await restore(before);
			if (reloadCommand !== undefined) await runHook(reloadCommand, {});
			throw new GatepassError(
				{
					code: 'install-failed',
					what: `The certificate could not be put into ${certificate} and ${key}: ${(error as Error).message}. What was there before is restored`,
					hint: "Check the folder's rights and the reload command",
				},
				{cause: error},
			);
		}
	}

	async #owner(): Promise<{uid?: number; gid?: number}> {
		const {owner, group} = this.#settings;
		return {
			...(owner !== undefined && {uid: await idOf('passwd', owner)}),
			...(group !== undefined && {gid: await idOf('group', group)}),
		};
	}
}

/** The number of a user or group. Asked of the system, which may have them elsewhere than in files. */
async function idOf(database: 'passwd' | 'group', name: string): Promise<number> {
	if (/^\d+$/.test(name)) return Number(name);
	try {
		const {stdout} = await promisify(execFile)('getent', [database, '--', name]);
		return Number(stdout.split(':')[2]);
	} catch (error) {
		const what = database === 'passwd' ? 'user' : 'group';
		throw new GatepassError(
			{
				code: 'owner-unknown',
				what: `There is no ${what} '${name}' on this machine`,
				hint: 'Make it, or name another',
			},
			{
				cause: error,
			},
		);
	}
}

async function lookAt(path: string): Promise<Before> {
	try {
		const {mode, uid, gid} = await stat(path);
		return {path, content: await readFile(path), mode: mode & 0o7777, uid, gid};
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
		return {path, mode: 0o600, uid: process.getuid?.() ?? -1, gid: process.getgid?.() ?? -1};
	}
}

async function restore(before: readonly Before[]): Promise<void> {
	for (const {path, content, mode, uid, gid} of before) {
		if (content === undefined) {
			await unlink(path).catch(() => {});
			continue;
		}
		const temporary = temporaryBeside(path);
		await writeToDisk(temporary, content, mode & 0o700);
		await chown(temporary, uid, gid);
		await chmod(temporary, mode);
		await putInPlace(temporary, path);
	}
}
