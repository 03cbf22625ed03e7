/** Machines that share a folder and no kernel, each a mount of its own: one of them changes it at a time. */
import {type ChildProcess, spawn} from 'node:child_process';
import {once} from 'node:events';
import {existsSync, readFileSync, statSync, utimesSync} from 'node:fs';
import {mkdtemp, readdir, rm, writeFile} from 'node:fs/promises';
import {hostname, tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {fileURLToPath} from 'node:url';
import {describe, expect, onTestFinished, test, vi} from 'vitest';
import {withLock} from '../../../src/lineages/certbot/lock.ts';
import * as nativeLock from '../../../src/lineages/certbot/native-lock.ts';
import {describeWith} from '../../servers/availability.ts';
import {hangingFolders, startSharedFolder} from '../../servers/hanging-folder.ts';
import {stopProcess} from '../../servers/process.ts';

const child = fileURLToPath(new URL('lock-child.ts', import.meta.url));
const lockName = '.gatepass.lock';
const nothing = async (): Promise<void> => {};

interface Other {
	readonly process: ChildProcess;
	/** The next line that it says. */
	next(): Promise<string>;
	/** Have it let the lock go. */
	end(): void;
}

/** A process that takes the lock on a folder. */
function otherAt(folder: string, rhythm: readonly number[] = []): Other {
	const started = spawn(process.execPath, [child, folder, ...rhythm.map(String)], {
		stdio: ['pipe', 'pipe', 'inherit'],
	});
	onTestFinished(() => stopProcess(started, 'SIGKILL'));
	const lines = createInterface({input: started.stdout})[Symbol.asyncIterator]();
	return {
		process: started,
		next: async () => String((await lines.next()).value),
		end: () => void started.stdin.end(),
	};
}

async function temporaryFolder(): Promise<string> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-lock-'));
	onTestFinished(() => rm(folder, {recursive: true, force: true}));
	return folder;
}

/** As if the lock had been written so many milliseconds ago. */
function age(folder: string, by: number): void {
	const file = join(folder, lockName);
	const at = (statSync(file).mtimeMs - by) / 1000;
	utimesSync(file, at, at);
}

describeWith(hangingFolders, 'two machines', () => {
	async function twoViews(): Promise<readonly [string, string]> {
		const shared = await startSharedFolder();
		onTestFinished(() => shared.close());
		return shared.views;
	}

	test('one at a time, though neither hears of the kernel lock of the other', async () => {
		const [here, there] = await twoViews();
		const other = otherAt(there);
		expect(await other.next()).toBe('locked');
		const call = await nativeLock.findLockCall();
		if (call !== undefined) {
			const release = nativeLock.lockFile(join(here, '.certbot.lock'), call);
			expect(release, 'the kernel keeps it apart already: this proves nothing').toBeDefined();
			release?.();
		}
		await expect(withLock(here, nothing)).rejects.toMatchObject({
			message: expect.stringContaining(`Another program is changing ${here}`),
			diagnostics: [{code: 'lineage-locked'}],
		});
		other.end();
		expect(await other.next()).toBe('over');
		let wasThere = false;
		await withLock(here, async () => {
			wasThere = existsSync(join(there, lockName));
			const refused = otherAt(there);
			expect(await refused.next()).toMatch(/^refused: Another program is changing/);
		});
		expect(wasThere).toBe(true);
		expect(await readdir(here)).toEqual([]);
	});

	test('one that is killed keeps its own machine waiting not at all, and others for a minute', async () => {
		const [here, there] = await twoViews();
		const other = otherAt(there);
		expect(await other.next()).toBe('locked');
		await stopProcess(other.process, 'SIGKILL');
		age(here, 50_000);
		// Its process is known here not to run: as of another machine, then.
		const text = readFileSync(join(here, lockName), 'utf8');
		await writeFile(
			join(here, lockName),
			text.replace(/"processes":"[^"]*"/, '"processes":"another kernel"'),
		);
		age(here, 50_000);
		await expect(withLock(here, nothing)).rejects.toThrow(/Another program is changing/);
		age(here, 15_000);
		await withLock(here, nothing);

		const second = otherAt(there);
		expect(await second.next()).toBe('locked');
		await stopProcess(second.process, 'SIGKILL');
		const third = otherAt(there);
		expect(await third.next()).toBe('locked');
		third.end();
		expect(await third.next()).toBe('over');
		// The file system forgets a killed process's open files in its own time.
		await expect.poll(async () => (await readdir(here)).filter(name => name !== '.certbot.lock')).toEqual([]);
	});

	test('one that stood still for too long loses it, is told, and leaves the lock of the next alone', async () => {
		const [here, there] = await twoViews();
		const other = otherAt(there, [3000, 50]);
		expect(await other.next()).toBe('locked');
		other.process.kill('SIGSTOP');
		age(here, 3001);
		const rhythm = {patience: 3000, interval: 50};
		await withLock(
			here,
			async lost => {
				other.process.kill('SIGCONT');
				expect(await other.next()).toMatch(/^lost: This machine gave no sign of life for so long/);
				expect(await other.next()).toBe('over');
				expect(JSON.parse(readFileSync(join(here, lockName), 'utf8')).pid).toBe(process.pid);
				expect(lost.aborted).toBe(false);
			},
			{rhythm},
		);
	});

	test('one that lives is not taken for dead, however long it works', async () => {
		const [here, there] = await twoViews();
		const other = otherAt(there, [2000, 40]);
		expect(await other.next()).toBe('locked');
		// As if that were long ago, again and again: each time it writes it anew.
		for (let turn = 0; turn < 3; turn++) {
			age(here, 3_600_000);
			await expect.poll(() => Date.now() - statSync(join(here, lockName)).mtimeMs).toBeLessThan(60_000);
		}
		await expect(withLock(here, nothing)).rejects.toThrow(/Another program is changing/);
		other.end();
		expect(await other.next()).toBe('over');
	});

	test('of many who find the lock of a machine that is gone, one gets it', async () => {
		const [here, there] = await twoViews();
		for (let turn = 0; turn < 3; turn++) {
			await writeFile(join(here, lockName), JSON.stringify({id: 'x', host: 'gone', pid: 1}));
			age(here, 61_000);
			const others = [here, there, here, there, there, here].map(view => otherAt(view));
			const said = await Promise.all(others.map(other => other.next()));
			expect(said.filter(line => line === 'locked')).toHaveLength(1);
			for (const other of others) other.end();
			expect(await others[said.indexOf('locked')]?.next()).toBe('over');
		}
	});
});

describe('one machine', () => {
	test('names the machine that has it', async () => {
		const folder = await temporaryFolder();
		await writeFile(join(folder, lockName), JSON.stringify({id: 'x', host: 'node-7', pid: 1}));
		await expect(withLock(folder, nothing)).rejects.toThrow(/another gatepass on node-7\./);
		// Somebody has just made it, and has written nothing yet.
		await writeFile(join(folder, lockName), '');
		await expect(withLock(folder, nothing)).rejects.toThrow(/another gatepass\./);
		expect(readFileSync(join(folder, lockName), 'utf8')).toBe('');
	});

	test('what is wrong with the folder is said', async () => {
		const folder = await temporaryFolder();
		await expect(withLock(join(folder, 'missing'), nothing)).rejects.toMatchObject({
			message: expect.stringMatching(/cannot be locked \(ENOENT\)/),
			diagnostics: [{code: 'output-not-writable'}],
		});
	});

	/** As where neither koffi nor Python is. */
	test('by processes alone, one that is no more keeps nobody waiting', async () => {
		const found = vi.spyOn(nativeLock, 'findLockCall').mockResolvedValue(undefined);
		onTestFinished(() => found.mockRestore());
		const folder = await temporaryFolder();
		const ended = spawn(process.execPath, ['-e', '']);
		await once(ended, 'close');
		await withLock(folder, async () => {
			const own = JSON.parse(readFileSync(join(folder, lockName), 'utf8'));
			expect(own).toMatchObject({host: hostname(), pid: process.pid});
			await writeFile(
				join(folder, lockName),
				JSON.stringify({...own, kernelLock: undefined, pid: ended.pid}),
			);
			// That of a live process, in the same place, stays.
			await withLock(await temporaryFolder(), nothing);
		});
		expect(existsSync(join(folder, lockName))).toBe(true);
		await withLock(folder, nothing);
		expect(existsSync(join(folder, lockName))).toBe(false);
	});
});
