/** Files on a file system that hangs: who asks for them waits for a while, and nobody else. */
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {FileReadError} from '../../src/files/bounded-read.ts';
import {KeptFile} from '../../src/files/kept-file.ts';
import {describeWith} from '../servers/availability.ts';
import {type HangingFolder, hangingFolders, startHangingFolder} from '../servers/hanging-folder.ts';

describeWith(hangingFolders, 'a file on a file system that hangs', () => {
	let place: HangingFolder;
	beforeEach(async () => {
		place = await startHangingFolder();
	});
	afterEach(() => place.close());

	// Patience ends when a test says so: a slow machine must not end it while the file system still works.
	beforeEach(() => void vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']}));
	afterEach(() => void vi.useRealTimers());
	const patience = 300;

	const keep = (name: string): KeptFile<string> =>
		new KeptFile(join(place.folder, name), {
			largest: 100,
			parse: bytes => bytes.toString(),
			interval: 0,
			patience,
		});

	test('what it held before is given, and what it holds once it answers', async () => {
		await place.write('file', 'one');
		const kept = keep('file');
		expect(await kept.current()).toBe('one');
		await place.write('file', 'two, later');
		place.hang();
		const given: string[] = [];
		const waiting = [1, 2].map(async () => given.push(await kept.current()));
		await vi.advanceTimersByTimeAsync(patience - 1);
		expect(given).toEqual([]);
		await vi.advanceTimersByTimeAsync(1);
		await Promise.all(waiting);
		expect(given).toEqual(['one', 'one']);
		// It is known to hang: nobody waits once more, with time that stands still.
		expect(await kept.current()).toBe('one');
		place.goOn();
		await expect.poll(() => kept.current()).toBe('two, later');
	});

	test('one that was never read is an error in time', async () => {
		await place.write('file', 'one');
		place.hang();
		const kept = keep('file');
		const waiting = kept.current().catch((error: unknown) => error);
		await vi.advanceTimersByTimeAsync(patience);
		const failure = await waiting;
		expect(failure).toBeInstanceOf(FileReadError);
		expect(failure).toMatchObject({reason: 'silent', message: 'does not answer: its file system hangs'});
		place.goOn();
		await expect.poll(() => kept.current().catch(() => '')).toBe('one');
	});

	test('others go on meanwhile', async () => {
		await place.write('file', 'one');
		place.hang();
		const waiting = keep('file')
			.current()
			.catch(() => 'silent');
		const elsewhere = new KeptFile(import.meta.filename, {
			largest: 100_000,
			parse: bytes => bytes.length,
			interval: 0,
		});
		let isOver = false;
		void waiting.then(() => {
			isOver = true;
		});
		for (let time = 0; time < 20; time++) expect(await elsewhere.current()).toBeGreaterThan(1000);
		expect(isOver).toBe(false);
		await vi.advanceTimersByTimeAsync(patience);
		expect(await waiting).toBe('silent');
		place.goOn();
	});
});
