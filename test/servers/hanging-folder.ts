/** Folders on a file system as one over a network is, which may hang, and which others share: Debian's bindfs, by FUSE. */
import {type ChildProcess, execFileSync, spawn} from 'node:child_process';
import {accessSync, constants} from 'node:fs';
import {mkdir, mkdtemp, readdir, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {findProgram, type RealServer} from './availability.ts';
import {stopProcess} from './process.ts';

export const hangingFolders: RealServer = {
	name: 'bindfs',
	install: 'apt-get install bindfs',
	// Some containers may mount nothing.
	isOptional: true,
	whyUnavailable() {
		if (findProgram('bindfs') === undefined) return 'there is no program bindfs';
		try {
			accessSync('/dev/fuse', constants.R_OK | constants.W_OK);
			return process.geteuid?.() === 0 ? undefined : 'only root may mount it';
		} catch {
			return 'there is no /dev/fuse for this user';
		}
	},
};

export interface HangingFolder {
	/** Where its files are seen. Whoever asks for them while it hangs waits. */
	readonly folder: string;
	/** Write a file, past what may hang. */
	write(name: string, text: string): Promise<void>;
	hang(): void;
	goOn(): void;
	close(): Promise<void>;
}

export async function startHangingFolder(): Promise<HangingFolder> {
	const place = await mkdtemp(join(tmpdir(), 'gatepass-hanging-'));
	const [behind, folder] = [join(place, 'behind'), join(place, 'seen')];
	await Promise.all([mkdir(behind), mkdir(folder)]);
	const view = await mountFolder(behind, folder);
	return {
		folder,
		write: (name, text) => writeFile(join(behind, name), text),
		hang: () => void view.server.kill('SIGSTOP'),
		goOn: () => void view.server.kill('SIGCONT'),
		async close() {
			await view.close();
			await rm(place, {recursive: true, force: true});
		},
	};
}

export interface SharedFolder {
	/** The same folder, as each of several machines sees it: what one locks in the kernel, the others do not hear of. */
	readonly views: readonly [string, string];
	close(): Promise<void>;
}

/** A folder on a file system that machines share. */
export async function startSharedFolder(): Promise<SharedFolder> {
	const place = await mkdtemp(join(tmpdir(), 'gatepass-shared-'));
	const behind = join(place, 'behind');
	const views = [join(place, 'one'), join(place, 'two')] as const;
	await Promise.all([behind, ...views].map(folder => mkdir(folder)));
	const mounts = await Promise.all(views.map(view => mountFolder(behind, view)));
	await rm(join(behind, 'mounted'));
	return {
		views,
		async close() {
			await Promise.all(mounts.map(mount => mount.close()));
			await rm(place, {recursive: true, force: true});
		},
	};
}

async function mountFolder(
	behind: string,
	folder: string,
): Promise<{server: ChildProcess; close(): Promise<void>}> {
	await writeFile(join(behind, 'mounted'), '');
	// What the kernel remembers would be told although nobody answers.
	const options = ['-f', '-o', 'attr_timeout=0,entry_timeout=0,negative_timeout=0,direct_io'];
	const server: ChildProcess = spawn(findProgram('bindfs') ?? 'bindfs', [...options, behind, folder], {
		stdio: 'ignore',
	});
	while (!(await readdir(folder)).includes('mounted')) {
		if (server.exitCode !== null) throw new Error(`bindfs ended with ${server.exitCode}`);
		await pause(20);
	}
	return {
		server,
		async close() {
			await stopProcess(server, 'SIGKILL');
			execFileSync('umount', ['--lazy', folder]);
		},
	};
}
