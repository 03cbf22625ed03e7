/** Copies a certificate and its key to where a service reads them, with the owner and the rights that it needs. */
import {execFile} from 'node:child_process';
import {readFile, stat} from 'node:fs/promises';
import {promisify} from 'node:util';
import {GatepassError} from '../errors.ts';
import {whatOf} from '../reason.ts';
import type {Checkpoints} from './checkpoints.ts';
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

export class FilesInstaller implements Installer {
	readonly name = 'files';
	readonly #settings: FilesSettings;
	readonly #checkpoints: Checkpoints;

	/** What is there is kept in `checkpoints` until all is in place: also where the process is killed meanwhile. */
	constructor(settings: FilesSettings, checkpoints: Checkpoints) {
		this.#settings = settings;
		this.#checkpoints = checkpoints;
	}

	async deploy({name, paths}: DeployedLineage): Promise<void> {
		const {certificate, key, chain, mode = '', reloadCommand} = this.#settings;
		const before = await modeOf(key);
		const targets: Target[] = [
			{
				path: key,
				content: await readFile(paths.privkey, 'utf8'),
				mode: mode === '' ? (before ?? 0o600) : Number.parseInt(mode, 8),
			},
			{path: certificate, content: await readFile(paths.fullchain, 'utf8'), mode: 0o644},
			...(chain === undefined
				? []
				: [{path: chain, content: await readFile(paths.chain, 'utf8'), mode: 0o644}]),
		];
		const change = await this.#checkpoints.begin(`files: deploy ${name}`);
		try {
			const owner = await this.#owner();
			for (const {path, content, mode: rights} of targets)
				await change.write(path, content, {...owner, mode: rights});
			const failure = reloadCommand === undefined ? undefined : await runHook(reloadCommand, {});
			if (failure !== undefined) throw new GatepassError({code: 'hook-failed', what: failure, hint: ''});
			await change.finishForGood();
		} catch (error) {
			await change.undo();
			if (reloadCommand !== undefined) await runHook(reloadCommand, {});
			throw new GatepassError(
				{
					code: 'install-failed',
					what: `The certificate could not be put into ${certificate} and ${key}: ${whatOf(error)}. What was there before is restored`,
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

/** `undefined`: there is no such file. */
async function modeOf(path: string): Promise<number | undefined> {
	try {
		return (await stat(path)).mode & 0o7777;
	} catch (error) {
		if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
		return undefined;
	}
}
