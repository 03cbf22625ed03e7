/** The place of the sqlite file: whose it is, who may read it, and what is found there instead of a file. */
import {execFileSync} from 'node:child_process';
import {
	chmodSync,
	chownSync,
	existsSync,
	lstatSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import {TokenCacheError} from '../../src/errors.ts';
import {claimPrivateFile, companions, recheckPrivateFile} from '../../src/tokens/stores/private-file.ts';
import {SqliteStore} from '../../src/tokens/stores/sqlite-store.ts';

let folder: string;
let file: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-private-'));
	file = join(folder, 'tokens.sqlite');
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const isRoot = process.geteuid?.() === 0;
const somebodyElse = 65_534;

function open(path = file): SqliteStore {
	const store = new SqliteStore(path);
	onTestFinished(() => store.disconnect());
	return store;
}

function refusal(path = file): string {
	try {
		new SqliteStore(path).disconnect();
	} catch (error) {
		expect(error).toBeInstanceOf(TokenCacheError);
		return (error as Error).message;
	}
	return 'it was opened';
}

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

/** Files such as a process leaves that was killed. */
async function leaveBehind(): Promise<void> {
	const other = join(folder, 'other.sqlite');
	const store = new SqliteStore(other);
	await store.set('key', 'value');
	for (const suffix of ['', '-wal']) writeFileSync(`${file}${suffix}`, readFileSync(`${other}${suffix}`));
	await store.disconnect();
}

describe('a link is refused, and nothing is done through it', () => {
	test.each(['', ...companions])('tokens.sqlite%s', async suffix => {
		const target = join(folder, 'target');
		writeFileSync(target, 'untouched');
		chmodSync(target, 0o644);
		if (suffix !== '') await leaveBehind();
		rmSync(`${file}${suffix}`, {force: true});
		symlinkSync(target, `${file}${suffix}`);
		expect(refusal()).toMatch(/tokens\.sqlite\S* is a symbolic link.*'cache\.url'/);
		expect([readFileSync(target, 'utf8'), modeOf(target)]).toEqual(['untouched', '644']);
	});

	test('a folder named gatepass that is one keeps the rights of where it leads', async () => {
		const elsewhere = join(folder, 'elsewhere');
		mkdirSync(elsewhere);
		chmodSync(elsewhere, 0o755);
		symlinkSync(elsewhere, join(folder, 'gatepass'));
		await open(join(folder, 'gatepass/tokens.sqlite')).set('key', 'value');
		expect([modeOf(elsewhere), modeOf(join(elsewhere, 'tokens.sqlite'))]).toEqual(['755', '600']);
	});
});

describe('what is no regular file is refused at once', () => {
	test.each(['', ...companions])('a FIFO at tokens.sqlite%s', suffix => {
		if (suffix !== '') writeFileSync(file, '', {mode: 0o600});
		execFileSync('mkfifo', [`${file}${suffix}`]);
		expect(refusal()).toContain(`${file}${suffix} is a FIFO`);
	});

	test('a device', () => {
		expect(refusal('/dev/null')).toContain('/dev/null is a device');
		expect(modeOf('/dev/null')).toBe('666');
	});

	test('a socket', async () => {
		const server = createServer().listen(file);
		onTestFinished(() => void server.close());
		await new Promise(resolve => server.once('listening', resolve));
		expect(refusal()).toContain('is a socket');
	});

	test('a folder, whose rights stay', () => {
		mkdirSync(file);
		chmodSync(file, 0o755);
		expect(refusal()).toContain('is a folder');
		expect(modeOf(file)).toBe('755');
	});
});

describe('rights that are too wide are taken back before a token is written', () => {
	test.each(['', ...companions])('tokens.sqlite%s', async suffix => {
		await leaveBehind();
		if (!existsSync(`${file}${suffix}`)) writeFileSync(`${file}${suffix}`, '');
		for (const each of ['', '-wal', suffix]) chmodSync(`${file}${each}`, each === suffix ? 0o666 : 0o600);
		const store = open();
		await expect(store.get('key')).resolves.toBe('value');
		for (const each of ['', '-wal', '-shm']) expect(modeOf(`${file}${each}`)).toBe('600');
	});
});

describe.skipIf(!isRoot)('what belongs to somebody else is refused', () => {
	test.each(['', ...companions])('tokens.sqlite%s', async suffix => {
		await leaveBehind();
		if (!existsSync(`${file}${suffix}`)) writeFileSync(`${file}${suffix}`, '');
		for (const mode of [0o600, 0o666]) {
			chmodSync(`${file}${suffix}`, mode);
			chownSync(`${file}${suffix}`, somebodyElse, -1);
			expect(refusal()).toContain(`${file}${suffix} belongs to another user (number ${somebodyElse})`);
			expect(modeOf(`${file}${suffix}`)).toBe(mode.toString(8));
		}
	});

	test('also where root left it for an ordinary user', () => {
		chmodSync(folder, 0o777);
		chmodSync(folder, 0o1777);
		writeFileSync(file, '');
		chmodSync(file, 0o666);
		process.seteuid?.(somebodyElse);
		try {
			expect(refusal()).toContain('belongs to another user (number 0)');
		} finally {
			process.seteuid?.(0);
		}
	});
});

test('a file that is replaced while it is opened is noticed', () => {
	const claimed = claimPrivateFile(file);
	recheckPrivateFile(claimed);
	writeFileSync(`${file}.new`, '', {mode: 0o600});
	renameSync(`${file}.new`, file);
	expect(() => recheckPrivateFile(claimed)).toThrow('was replaced while it was opened');
});

test.skipIf(process.platform !== 'linux')(
	'one that is private already is not opened, which would cost another connection its locks',
	async () => {
		const store = open();
		await store.set('key', 'value');
		const {atimeNs, ctimeNs} = lstatSync(file, {bigint: true});
		recheckPrivateFile(claimPrivateFile(file));
		expect(lstatSync(file, {bigint: true})).toMatchObject({atimeNs, ctimeNs});
		// The lock that sqlite holds on the file while it is open, as the kernel tells it.
		const {ino} = statSync(file);
		expect(readFileSync('/proc/locks', 'utf8')).toMatch(new RegExp(`POSIX .* ${process.pid} \\S+:${ino} `));
	},
);
