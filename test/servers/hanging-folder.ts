/** A folder on a file system that can be made to hang, as one over a network does: Debian's bindfs, by FUSE. */
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
		folder,
		write: (name, text) => writeFile(join(behind, name), text),
		hang: () => void server.kill('SIGSTOP'),
		goOn: () => void server.kill('SIGCONT'),
		async close() {
			await stopProcess(server, 'SIGKILL');
			execFileSync('umount', ['--lazy', folder]);
			await rm(place, {recursive: true, force: true});
		},
	};
}
