/** Reading regular files, and nothing else. */
import {execFileSync} from 'node:child_process';
import {appendFileSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync} from 'node:fs';
import {stat} from 'node:fs/promises';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, onTestFinished, test, vi} from 'vitest';
import {
	type FileContent,
	FileReadError,
	type ReadFailure,
	readBounded,
	readBoundedSync,
} from '../../src/files/bounded-read.ts';

vi.mock('node:fs', async importOriginal => {
	const actual = await importOriginal<typeof import('node:fs')>();
	return {...actual, statSync: vi.fn(actual.statSync), readSync: vi.fn(actual.readSync)};
});
vi.mock('node:fs/promises', async importOriginal => {
	const actual = await importOriginal<typeof import('node:fs/promises')>();
	return {...actual, stat: vi.fn(actual.stat)};
});

const isWindows = process.platform === 'win32';
let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-files-'));
});
afterEach(() => {
	vi.resetAllMocks();
	rmSync(folder, {recursive: true, force: true});
});

const at = (name: string): string => join(folder, name);

function write(name: string, content: string): string {
	writeFileSync(at(name), content);
	return at(name);
}

function pipe(name: string): string {
	execFileSync('mkfifo', [at(name)]);
	return at(name);
}

describe.each<[string, (file: string, largest: number) => Promise<FileContent>]>([
	['readBounded', readBounded],
	['readBoundedSync', async (file, largest) => readBoundedSync(file, largest)],
])('%s', (name, read) => {
	async function failure(file: string, largest = 100): Promise<{reason: ReadFailure; message: string}> {
		const error = await read(file, largest).then(
			() => undefined,
			(reason: unknown) => reason,
		);
		expect(error).toBeInstanceOf(FileReadError);
		return error as FileReadError;
	}

	test('a file with what is known of it, also behind a link', async () => {
		const file = write('file', 'content');
		symlinkSync(file, at('link'));
		for (const path of [file, at('link')]) {
			const {bytes, status} = await read(path, 7);
			expect(bytes.toString()).toBe('content');
			expect(status.ino).toBe(statSync(file, {bigint: true}).ino);
		}
		expect((await read(write('empty', ''), 7)).bytes).toHaveLength(0);
	});

	test.runIf(process.platform === 'linux')('one that tells no size, as those of /proc', async () => {
		const {bytes} = await read('/proc/self/maps', 4 * 1024 * 1024);
		expect(bytes.length).toBeGreaterThan(1000);
		expect(await failure('/proc/self/maps', 100)).toMatchObject({
			reason: 'too large',
			message: 'has more than 100 bytes, and at most 100 are read',
		});
	});

	test('no larger one', async () => {
		expect(await failure(write('file', 'content'), 6)).toMatchObject({
			reason: 'too large',
			message: 'has 7 bytes, and at most 6 are read',
		});
	});

	test('nothing that is not there, or leads nowhere', async () => {
		symlinkSync(at('none'), at('dangling'));
		symlinkSync(at('circle'), at('circle'));
		expect(await failure(at('none'))).toMatchObject({reason: 'missing', code: 'ENOENT'});
		expect(await failure(join(write('file', ''), 'below'))).toMatchObject({reason: 'missing'});
		expect(await failure(at('dangling'))).toMatchObject({reason: 'missing'});
		expect(await failure(at('circle'))).toMatchObject({
			reason: 'circle',
			message: 'is a symbolic link that leads back to itself',
		});
	});

	test('no folder', async () => {
		mkdirSync(at('folder'));
		expect(await failure(at('folder'))).toMatchObject({
			reason: 'folder',
			message: 'is not a file but a folder',
		});
	});

	test.skipIf(isWindows)('no pipe that nobody writes to, no device, no socket', async () => {
		expect(await failure(pipe('pipe'))).toMatchObject({message: 'is not a file but a named pipe'});
		expect(await failure('/dev/zero')).toMatchObject({message: 'is not a file but a device'});
		const server = createServer();
		await new Promise<void>(resolve => server.listen(at('socket'), resolve));
		onTestFinished(() => void server.close());
		expect(await failure(at('socket'))).toMatchObject({
			reason: 'special',
			message: 'is not a file but a socket',
		});
	});

	test.skipIf(isWindows)('no pipe that takes the place of a file after the first look', async () => {
		const regular = statSync(write('file', 'content'), {bigint: true});
		const file = pipe('pipe');
		vi.mocked(statSync).mockReturnValueOnce(regular);
		vi.mocked(stat).mockResolvedValueOnce(regular);
		expect(await failure(file)).toMatchObject({reason: 'special'});
	});

	test('one that has not changed for a while is settled', async () => {
		expect((await read(process.execPath, 1024 ** 3)).stamp.isSettled).toBe(true);
	});

	test.runIf(name === 'readBoundedSync')('one that grows while it is read is not used', async () => {
		const {readSync} = await import('node:fs');
		const {readSync: original} = await vi.importActual<typeof import('node:fs')>('node:fs');
		const file = write('file', 'content');
		vi.mocked(readSync).mockImplementationOnce((...parameters: unknown[]) => {
			appendFileSync(file, ' and more');
			return (original as (...all: unknown[]) => number)(...parameters);
		});
		expect(await failure(file)).toMatchObject({reason: 'growing', message: 'grew while it was read'});
	});
});
