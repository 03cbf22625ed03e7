/** The sqlite store: keyv's own suite, permissions, many processes at once, and files that are damaged. */
import {execFileSync, spawn} from 'node:child_process';
import {once} from 'node:events';
import {
	chmodSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	rmSync,
	statSync,
	symlinkSync,
	truncateSync,
	writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {setImmediate} from 'node:timers/promises';
import {keyvIteratorTests, default as keyvTestSuite} from '@keyv/test-suite';
import {Keyv} from 'keyv';
import * as vitest from 'vitest';
import {afterAll, afterEach, beforeEach, describe, expect, onTestFinished, test, vi} from 'vitest';
import {SqliteStore} from '../../src/tokens/stores/sqlite-store.ts';

let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-sqlite-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

/** A store that is let go when the test ends. */
function open(file: string): SqliteStore {
	const store = new SqliteStore(file);
	onTestFinished(() => store.disconnect());
	return store;
}

function modeOf(path: string): string {
	return (statSync(path).mode & 0o777).toString(8);
}

describe("keyv's own suite", () => {
	const suiteFolder = mkdtempSync(join(tmpdir(), 'gatepass-keyv-suite-'));
	const stores: SqliteStore[] = [];
	/** As the suite wants it: a store of its own for each keyv, all in one file. */
	const makeStore = (): SqliteStore => {
		const store = new SqliteStore(join(suiteFolder, 'tokens.sqlite'));
		stores.push(store);
		return store;
	};
	afterAll(async () => {
		await Promise.all(stores.map(store => store.disconnect()));
		rmSync(suiteFolder, {recursive: true, force: true});
	});
	keyvTestSuite(vitest, Keyv, makeStore);
	keyvIteratorTests(vitest, Keyv, makeStore);
});

describe('permissions', () => {
	test('file 0600 and folder 0700, whatever the umask, and its companions too', async () => {
		const before = process.umask(0);
		onTestFinished(() => void process.umask(before));
		const file = join(folder, 'deep/er/tokens.sqlite');
		await open(file).set('key', 'value');
		expect([modeOf(join(folder, 'deep')), modeOf(join(folder, 'deep/er'))]).toEqual(['700', '700']);
		for (const suffix of ['', '-wal', '-shm']) expect(modeOf(`${file}${suffix}`)).toBe('600');
	});

	test('are taken back where they were wider', async () => {
		const own = join(folder, 'gatepass');
		mkdirSync(own);
		chmodSync(own, 0o755);
		const file = join(own, 'tokens.sqlite');
		writeFileSync(file, '');
		chmodSync(file, 0o644);
		await open(file).set('key', 'value');
		expect([modeOf(own), modeOf(file), modeOf(`${file}-wal`)]).toEqual(['700', '600', '600']);
	});

	test("of a folder that is somebody else's stay", () => {
		chmodSync(folder, 0o755);
		open(join(folder, 'tokens.sqlite'));
		expect(modeOf(folder)).toBe('755');
	});
});

test('it is in write-ahead mode', () => {
	const file = join(folder, 'tokens.sqlite');
	open(file);
	const database = new DatabaseSync(file);
	onTestFinished(() => database.close());
	expect(database.prepare('PRAGMA journal_mode').get()).toEqual({journal_mode: 'wal'});
});

test('nothing of a deleted token stays, neither in the file nor in the log nor in what was put aside', async () => {
	const file = join(folder, 'tokens.sqlite');
	const [store, other] = [open(file), open(file)];
	const secret = (number: number) => `the-secret-token-${number}-`.repeat(50);
	writeFileSync(`${file}.damaged`, secret(0));
	await store.set('another', 'x'.repeat(5000));
	for (let number = 0; number < 20; number++) await store.set(`key-${number}`, secret(number));
	// The ones before are replaced, invalidated, or have expired.
	for (let number = 0; number < 5; number++) await store.set(`key-${number}`, secret(100 + number));
	for (let number = 5; number < 10; number++) await store.compareAndDelete(`key-${number}`, secret(number));
	await other.set('key-10', secret(110), 1);
	const texts = (): string =>
		['', '-wal', '-shm', '.damaged']
			.map(suffix => `${file}${suffix}`)
			.filter(path => existsSync(path))
			.map(path => readFileSync(path, 'latin1'))
			.join();
	expect(texts()).toContain('the-secret-token');
	await Promise.all(Array.from({length: 20}, (_, number) => store.delete(`key-${number}`)));
	expect(texts()).not.toContain('the-secret-token');
	expect(await other.get('another')).toBe('x'.repeat(5000));
	await other.set('key', 'goes on');
	expect(await store.get('key')).toBe('goes on');
});

test('what was kept in the future is void: the clock was put back', async () => {
	const store = open(join(folder, 'tokens.sqlite'));
	vi.useFakeTimers({toFake: ['Date'], now: Date.now() + 3_600_000});
	onTestFinished(() => void vi.useRealTimers());
	await store.set('key', 'value', 1000);
	expect(await store.get('key')).toBe('value');
	vi.setSystemTime(Date.now() - 30_000);
	expect(await store.get('key')).toBe('value');
	vi.setSystemTime(Date.now() - 3_600_000);
	expect(await store.get('key')).toBeUndefined();
	expect(await store.lock('key', 'holder', 1000)).toBeDefined();
	expect(await store.get('key')).toBe('holder');
});

test('what has expired is removed while the store is in use', async () => {
	const file = join(folder, 'tokens.sqlite');
	const store = open(file);
	await store.set('lasting', 'x', 60_000);
	const count = (): number => {
		const database = new DatabaseSync(file);
		const [row] = database.prepare('SELECT count(*) AS count FROM gatepass_entries').all();
		database.close();
		return Number(row?.count);
	};
	for (let number = 0; number < 2000; number++) {
		await store.set(`key-${number}`, 'x', -1);
		if (number % 100 === 0) expect(count()).toBeLessThanOrEqual(502);
	}
	await expect(store.get('lasting')).resolves.toBe('x');
});

test('what has expired is removed at the next opening', async () => {
	const file = join(folder, 'tokens.sqlite');
	const first = open(file);
	await first.set('ended', 'x', -1000);
	await first.set('lasting', 'x', 60_000);
	await first.set('forever', 'x');
	await first.disconnect();
	// Writes go one after the other, so this one comes behind the removal.
	await open(file).set('new', 'x');
	const database = new DatabaseSync(file);
	onTestFinished(() => database.close());
	const keys = database
		.prepare('SELECT key FROM gatepass_entries ORDER BY key')
		.all()
		.map(({key}) => key);
	expect(keys).toEqual(['forever', 'lasting', 'new']);
});

test('eight processes that write at once lose nothing, even where the file is new', async () => {
	const file = join(folder, 'tokens.sqlite');
	const program = `
		const {SqliteStore} = await import(${JSON.stringify(new URL('../../src/tokens/stores/sqlite-store.ts', import.meta.url).href)});
		const [name, file] = process.argv.slice(1);
		process.stdin.once('data', async () => {
			const store = new SqliteStore(file);
			for (let i = 0; i < 200; i++) await store.set(name + '-' + i, 'value of ' + name + '-' + i);
			await store.disconnect();
			process.stdin.destroy();
		});
		console.log('ready');`;
	const children = Array.from({length: 8}, (_, index) =>
		spawn(process.execPath, ['--input-type=module', '-e', program, `p${index}`, file], {
			stdio: ['pipe', 'pipe', 'pipe'],
		}),
	);
	onTestFinished(() => {
		for (const child of children) child.kill('SIGKILL');
	});
	const errors: string[] = [];
	for (const child of children) child.stderr.on('data', chunk => errors.push(String(chunk)));
	await Promise.all(children.map(child => once(child.stdout, 'data')));
	const ends = children.map(child => once(child, 'exit'));
	for (const child of children) child.stdin.write('go\n');
	const codes = (await Promise.all(ends)).map(([code]) => code);
	// Nothing on stderr either: no ExperimentalWarning of node:sqlite.
	expect(errors.join('')).toBe('');
	expect(codes).toEqual(Array(8).fill(0));

	const store = open(file);
	const keys = Array.from({length: 1600}, (_, index) => `p${Math.floor(index / 200)}-${index % 200}`);
	expect(await Promise.all(keys.map(key => store.get(key)))).toEqual(keys.map(key => `value of ${key}`));
});

describe('while another process holds the write lock', () => {
	test('everything else in this process goes on, and the write is made in the end, in its order', async () => {
		const file = join(folder, 'tokens.sqlite');
		const store = open(file);
		await store.set('key', 'first');
		const other = new DatabaseSync(file);
		onTestFinished(() => other.close());
		other.exec('BEGIN IMMEDIATE');
		const writes = [
			store.set('key', 'second'),
			store.set('key', 'third'),
			store.compareAndDelete('key', 'second'),
		];
		// Were the wait a blocking one, the lock would never be given back from here.
		for (let turn = 0; turn < 10; turn++) await setImmediate();
		await expect(store.get('key')).resolves.toBe('first');
		await expect(open(file).get('key')).resolves.toBe('first');
		other.exec('COMMIT');
		await expect(Promise.all(writes)).resolves.toEqual([undefined, undefined, false]);
		await expect(store.get('key')).resolves.toBe('third');
	});
});

describe('a file that is damaged', () => {
	/** A closed file with a good many entries. */
	async function makeFile(): Promise<string> {
		const file = join(folder, 'tokens.sqlite');
		const store = new SqliteStore(file);
		for (let index = 0; index < 300; index++) await store.set(`key-${index}`, 'x'.repeat(1000));
		await store.disconnect();
		return file;
	}

	async function expectUsable(file: string): Promise<void> {
		const store = open(file);
		await store.set('new', 'value');
		await expect(store.get('new')).resolves.toBe('value');
		for (let index = 0; index < 300; index++) await store.get(`key-${index}`);
		expect(modeOf(file)).toBe('600');
	}

	test.each([0.1, 0.3, 0.5, 0.9])(
		'cut off at %d of its length, is put aside and begun again',
		async share => {
			const file = await makeFile();
			const {size} = statSync(file);
			truncateSync(file, Math.floor(size * share));
			await expectUsable(file);
			expect(existsSync(`${file}.damaged`)).toBe(true);
			expect(modeOf(`${file}.damaged`)).toBe('600');
		},
	);

	test.each([0, 1, 600])('cut off so that sqlite makes something of it (%i bytes), is usable', async lost => {
		const file = await makeFile();
		truncateSync(file, lost === 600 ? statSync(file).size - lost : lost);
		await expectUsable(file);
	});

	test.each([
		['garbage', Buffer.from('this is no database, whatever its name says '.repeat(100))],
		['a header and garbage', Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(8000, 7)])],
	])('%s in its place, is put aside and begun again', async (_, content) => {
		const file = join(folder, 'tokens.sqlite');
		writeFileSync(file, content);
		await expectUsable(file);
		expect(readFileSync(`${file}.damaged`)).toEqual(content);
	});

	test('with pages overwritten, is put aside and begun again', async () => {
		const file = await makeFile();
		const content = readFileSync(file);
		content.fill(0xa5, 4096 * 3, 4096 * 6);
		writeFileSync(file, content);
		await expectUsable(file);
		expect(existsSync(`${file}.damaged`)).toBe(true);
	});

	test('found by two processes at once, is put aside once', async () => {
		const file = join(folder, 'tokens.sqlite');
		writeFileSync(file, 'garbage'.repeat(1000));
		const url = new URL('../../src/tokens/stores/sqlite-store.ts', import.meta.url).href;
		const program = `
			const {SqliteStore} = await import(${JSON.stringify(url)});
			const store = new SqliteStore(process.argv[1]);
			await store.set('from-' + process.argv[2], 'x');
			await store.disconnect();`;
		const children = [1, 2, 3, 4].map(name =>
			spawn(process.execPath, ['--input-type=module', '-e', program, file, String(name)], {stdio: 'ignore'}),
		);
		onTestFinished(() => {
			for (const child of children) child.kill('SIGKILL');
		});
		await Promise.all(children.map(child => once(child, 'exit')));
		await expectUsable(file);
	});
});

describe('a file that cannot be opened is an error, at once', () => {
	test('a folder in its place', () => {
		expect(() => new SqliteStore(folder)).toThrow(/is a folder/);
	});

	test('a file where its folder should be', () => {
		writeFileSync(join(folder, 'file'), '');
		expect(() => new SqliteStore(join(folder, 'file/tokens.sqlite'))).toThrow(/ENOTDIR|EEXIST/);
	});

	test('a symbolic link to nowhere', () => {
		symlinkSync(join(folder, 'no/where'), join(folder, 'link'));
		expect(() => new SqliteStore(join(folder, 'link'))).toThrow(/is a symbolic link/);
	});

	test('a folder that this user may not write to', () => {
		chmodSync(folder, 0o755);
		// Root may write everywhere, so its part is played by another user.
		const isRoot = process.geteuid?.() === 0;
		if (isRoot) process.seteuid?.(65_534);
		else chmodSync(folder, 0o555);
		try {
			expect(() => new SqliteStore(join(folder, 'tokens.sqlite'))).toThrow(/EACCES/);
		} finally {
			if (isRoot) process.seteuid?.(0);
			chmodSync(folder, 0o755);
		}
	});
});

test('loading node:sqlite prints no warning', () => {
	const url = new URL('../../src/tokens/stores/load-sqlite.ts', import.meta.url).href;
	const program = `
		const {loadSqlite} = await import(${JSON.stringify(url)});
		process.on('warning', warning => console.log(warning.name));
		new (loadSqlite().DatabaseSync)(':memory:').close();
		process.emitWarning('others still come through');`;
	const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], {
		encoding: 'utf8',
		stdio: ['ignore', 'pipe', 'ignore'],
	});
	expect(output).toBe('Warning\n');
});
