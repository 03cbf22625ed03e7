/** Values that are kept until their file changes, on file systems of every kind. */
import {execFileSync} from 'node:child_process';
import {chmodSync, mkdtempSync, readSync, renameSync, rmSync, utimesSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test, vi} from 'vitest';
import {FileReadError} from '../../src/files/bounded-read.ts';
import {KeptFile} from '../../src/files/kept-file.ts';
import {stampOf, stampOfSync, stampsOf, stampsOfSync} from '../../src/files/stamp.ts';

/** Whether times are told in whole seconds, as by ext2 with small inodes. */
const clock = vi.hoisted(() => ({isCoarse: false, offset: 0n}));

vi.mock('node:fs', async importOriginal => {
	const actual = await importOriginal<typeof import('node:fs')>();
	const second = 1_000_000_000n;
	const coarse =
		<Call extends (...all: never[]) => unknown>(call: Call) =>
		(...parameters: Parameters<Call>) => {
			const status = call(...parameters) as {mtimeNs: bigint; ctimeNs: bigint};
			const told = (time: bigint): bigint =>
				clock.isCoarse ? ((time + clock.offset) / second) * second : time + clock.offset;
			return Object.assign(status, {mtimeNs: told(status.mtimeNs), ctimeNs: told(status.ctimeNs)});
		};
	return {
		...actual,
		statSync: coarse(actual.statSync),
		fstatSync: coarse(actual.fstatSync),
		readSync: vi.fn(actual.readSync),
	};
});

let folder: string;
let file: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-kept-'));
	file = join(folder, 'file');
	Object.assign(clock, {isCoarse: false, offset: 0n});
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

/** As if files had been changed that many milliseconds earlier than they were. */
function age(milliseconds: number): void {
	clock.offset = BigInt(-milliseconds) * 1_000_000n;
}

/** Whole lines only. */
const parse = vi.fn((bytes: Buffer) => {
	const text = bytes.toString();
	if (!text.endsWith('\n')) throw new Error('is half written');
	return {text: text.trim()};
});
const keep = (settings: object = {}): KeptFile<{text: string}> =>
	new KeptFile(file, {largest: 100, parse, interval: 0, ...settings});

test('a file is read once, and again when it has changed', () => {
	age(10_000);
	writeFileSync(file, 'one\n');
	const kept = keep();
	const first = kept.read();
	vi.mocked(readSync).mockClear();
	expect(kept.read()).toBe(first);
	expect(readSync).not.toHaveBeenCalled();
	writeFileSync(file, 'two\n');
	expect(kept.read()).toEqual({text: 'two'});
	writeFileSync(join(folder, 'new'), 'six\n');
	renameSync(join(folder, 'new'), file);
	expect(kept.read()).toEqual({text: 'six'});
});

test('a second write of the same size within one second of the file system is noticed', () => {
	clock.isCoarse = true;
	const kept = keep();
	writeFileSync(file, 'one\n');
	const first = kept.read();
	const stamp = stampOfSync(file).text;
	writeFileSync(file, 'two\n');
	// Where the second has just ended, the stamp tells.
	if (stampOfSync(file).text === stamp) expect(stampOfSync(file).isSettled).toBe(false);
	expect(kept.read()).toEqual({text: 'two'});
	expect(kept.read()).not.toBe(first);
});

test('a file that is read once more and says the same keeps its value', () => {
	const kept = keep();
	writeFileSync(file, 'one\n');
	const first = kept.read();
	parse.mockClear();
	expect(kept.read()).toBe(first);
	utimesSync(file, 1, 1);
	expect(kept.read()).toBe(first);
	expect(parse).not.toHaveBeenCalled();
});

test('what cannot be used takes the place of nothing that was right', () => {
	const kept = keep();
	writeFileSync(file, 'one');
	expect(() => kept.read()).toThrow('is half written');
	writeFileSync(file, 'one\n');
	const first = kept.read();
	writeFileSync(file, 'tw');
	expect(kept.read()).toBe(first);
	expect(kept.failure?.message).toBe('is half written');
	expect(() => kept.readCurrent()).toThrow('is half written');
	rmSync(file);
	if (process.platform !== 'win32') {
		execFileSync('mkfifo', [file]);
		expect(kept.read()).toBe(first);
		expect(kept.failure?.message).toBe('is not a file but a named pipe');
		rmSync(file);
	}
	writeFileSync(file, 'two\n');
	expect(kept.read()).toEqual({text: 'two'});
	expect(kept.failure).toBeUndefined();
	writeFileSync(file, 'x'.repeat(101));
	expect(kept.read()).toEqual({text: 'two'});
	expect(kept.failure?.message).toMatch(/has 101 bytes/);
});

test('one that is gone is gone', () => {
	const kept = keep();
	expect(kept.read()).toBeUndefined();
	expect(() => kept.readCurrent()).toThrow(FileReadError);
	writeFileSync(file, 'one\n');
	expect(kept.readCurrent()).toEqual({text: 'one'});
	rmSync(file);
	expect(kept.read()).toBeUndefined();
	expect(kept.failure).toBeUndefined();
});

test('owner and mode are part of what is kept', () => {
	writeFileSync(file, 'one\n');
	chmodSync(file, 0o644);
	const ownerOnly = (bytes: Buffer, _: string, {mode}: {mode: bigint}): string => {
		if ((mode & 0o077n) !== 0n) throw new Error('may be read by others');
		return bytes.toString();
	};
	const kept = new KeptFile(file, {largest: 100, parse: ownerOnly, interval: 0});
	expect(() => kept.read()).toThrow('may be read by others');
	chmodSync(file, 0o600);
	expect(kept.read()).toBe('one\n');
	chmodSync(file, 0o640);
	expect(() => kept.readCurrent()).toThrow('may be read by others');
});

test('it is looked at once in an interval', () => {
	vi.useFakeTimers({toFake: ['performance']});
	try {
		writeFileSync(file, 'one\n');
		const kept = keep({interval: 1000});
		expect(kept.read()).toEqual({text: 'one'});
		writeFileSync(file, 'two\n');
		vi.advanceTimersByTime(999);
		expect(kept.read()).toEqual({text: 'one'});
		vi.advanceTimersByTime(1);
		expect(kept.read()).toEqual({text: 'two'});
	} finally {
		vi.useRealTimers();
	}
});

test('stamps of several files, with and without waiting', async () => {
	age(10_000);
	writeFileSync(file, 'one\n');
	const files = [file, join(folder, 'none')];
	const before = stampsOfSync(files);
	expect(before).toMatchObject({text: expect.stringMatching(/\nENOENT$/), isSettled: true});
	expect((await stampsOf(files)).text.split('\n')).toHaveLength(2);
	expect(await stampOf(files[1] as string)).toEqual(stampOfSync(files[1] as string));
	writeFileSync(files[1] as string, 'two\n');
	expect(stampsOfSync(files).text).not.toBe(before.text);
	age(0);
	clock.isCoarse = true;
	expect(stampsOfSync(files).isSettled).toBe(false);
	age(10_000);
	expect(stampsOfSync(files).isSettled).toBe(true);
});
