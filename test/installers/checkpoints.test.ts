/** Changes that can be taken back, also after a process was killed at any of its file operations. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {chmod, mkdtemp, readdir, readFile, rm, stat, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {expect, onTestFinished, test} from 'vitest';
import {CheckpointError} from '../../src/errors.ts';
import {Checkpoints} from '../../src/installers/checkpoints.ts';

async function stage(): Promise<{folder: string; checkpoints: Checkpoints; file: (name: string) => string}> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-checkpoints-'));
	onTestFinished(() => rm(folder, {recursive: true, force: true}));
	return {folder, checkpoints: new Checkpoints(join(folder, 'kept')), file: name => join(folder, name)};
}

test('a change is kept, shown, and taken back', async () => {
	const {checkpoints, file} = await stage();
	await writeFile(file('a'), 'old');
	await chmod(file('a'), 0o640);
	const change = await checkpoints.begin('first');
	await change.write(file('a'), 'new');
	await change.write(file('b'), 'made');
	await change.finish();
	expect((await checkpoints.history()).map(({title, files}) => [title, files])).toEqual([
		['first', [file('a'), file('b')]],
	]);
	expect(await readFile(file('a'), 'utf8')).toBe('new');
	await checkpoints.rollback(1);
	expect(await readFile(file('a'), 'utf8')).toBe('old');
	expect((await stat(file('a'))).mode & 0o777).toBe(0o640);
	await expect(readFile(file('b'))).rejects.toThrow(/ENOENT/);
	expect(await checkpoints.history()).toEqual([]);
});

test('several are taken back in their order, and no more than there are', async () => {
	const {checkpoints, file} = await stage();
	for (const content of ['1', '2', '3']) {
		const change = await checkpoints.begin(`to ${content}`);
		await change.write(file('a'), content);
		await change.finish();
	}
	await expect(checkpoints.rollback(4)).rejects.toThrow(/4 changes cannot be taken back\. There are 3/);
	expect((await checkpoints.rollback(2)).map(({title}) => title)).toEqual(['to 3', 'to 2']);
	expect(await readFile(file('a'), 'utf8')).toBe('1');
});

test('what somebody edited since is not lost', async () => {
	const {checkpoints, file} = await stage();
	await writeFile(file('a'), 'old');
	await writeFile(file('b'), 'old');
	const change = await checkpoints.begin('first');
	await change.write(file('a'), 'new');
	await change.write(file('b'), 'new');
	await change.finish();
	await writeFile(file('b'), 'edited by hand');
	await expect(checkpoints.rollback(1)).rejects.toBeInstanceOf(CheckpointError);
	await expect(checkpoints.rollback(1)).rejects.toThrow(
		/b was changed since 'first'\. Nothing was taken back/,
	);
	expect(await readFile(file('a'), 'utf8')).toBe('new');
	expect(await readFile(file('b'), 'utf8')).toBe('edited by hand');
});

test('a change that is undone was never there', async () => {
	const {checkpoints, folder, file} = await stage();
	await writeFile(file('a'), 'old');
	const change = await checkpoints.begin('first');
	await change.write(file('a'), 'new');
	await change.undo();
	expect(await readFile(file('a'), 'utf8')).toBe('old');
	expect(await checkpoints.history()).toEqual([]);
	expect(await readdir(join(folder, 'kept'))).toEqual([]);
});

const hook = fileURLToPath(new URL('../lineages/crash.mjs', import.meta.url));
const child = fileURLToPath(new URL('checkpoint-child.ts', import.meta.url));

/** Run the change in a process that is killed before its operation of that number; `undefined`: it lived. */
async function killedAt(operation: number, folder: string): Promise<boolean> {
	const process_ = spawn(process.execPath, ['--import', hook, child, folder], {
		env: {...process.env, GATEPASS_CRASH_AT: String(operation)},
		stdio: 'ignore',
	});
	const [, signal] = await once(process_, 'close');
	return signal === 'SIGKILL';
}

test('killed before any of its file operations, it leaves the old state or the new one, whole', async () => {
	const [old, changed] = [
		['old', 'old'],
		['new', 'new'],
	];
	let kills = 0;
	for (let operation = 1; ; operation++) {
		const {folder, checkpoints, file} = await stage();
		await writeFile(file('a'), 'old');
		await writeFile(file('b'), 'old');
		const isKilled = await killedAt(operation, folder);
		await checkpoints.recover();
		const state = [await readFile(file('a'), 'utf8'), await readFile(file('b'), 'utf8')];
		const hasHistory = (await checkpoints.history()).length === 1;
		expect([operation, state]).toEqual([operation, hasHistory ? changed : old]);
		if (!isKilled) {
			expect(state).toEqual(changed);
			break;
		}
		kills += 1;
	}
	expect(kills).toBeGreaterThan(20);
});
