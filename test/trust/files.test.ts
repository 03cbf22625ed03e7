/** Files of a trust store that cannot be used, or change without their times telling. */
import {execFileSync} from 'node:child_process';
import {copyFileSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, expect, test, vi} from 'vitest';
import {CertificateError} from '../../src/errors.ts';
import {Events} from '../../src/observability/events.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/index.ts';
import {TrustStores} from '../../src/trust/trust-stores.ts';

/** Whether times are told in whole seconds, as by ext2 with small inodes. */
const clock = vi.hoisted(() => ({isCoarse: false}));

vi.mock('node:fs', async importOriginal => {
	const actual = await importOriginal<typeof import('node:fs')>();
	const coarse =
		<Call extends (...all: never[]) => unknown>(call: Call) =>
		(...parameters: Parameters<Call>) => {
			const status = call(...parameters) as {mtimeNs?: bigint; ctimeNs?: bigint} | undefined;
			if (!clock.isCoarse || status?.mtimeNs === undefined || status.ctimeNs === undefined) return status;
			const told = (time: bigint): bigint => (time / 1_000_000_000n) * 1_000_000_000n;
			return Object.assign(status, {mtimeNs: told(status.mtimeNs), ctimeNs: told(status.ctimeNs)});
		};
	return {...actual, statSync: coarse(actual.statSync), fstatSync: coarse(actual.fstatSync)};
});

let authority: TestAuthority;
let other: TestAuthority;
let folder: string;

beforeAll(async () => {
	[authority, other] = await Promise.all([createTestAuthority(), createTestAuthority('another CA')]);
});
afterAll(() => Promise.all([authority.close(), other.close()]));
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'gatepass-trust-files-'));
	clock.isCoarse = false;
	vi.useFakeTimers({toFake: ['performance']});
});
afterEach(() => {
	vi.useRealTimers();
	rmSync(folder, {recursive: true, force: true});
});

/** The trust store of one file or folder, and what is heard of it. */
function open(file: string) {
	const heard: string[] = [];
	const events = new Events([
		(name, payload) => {
			if ('error' in payload && payload.error !== undefined) heard.push(`${name}: ${payload.error.message}`);
		},
	]);
	const entry = {patterns: [], files: [file], only: true, source: 'trust[0]'};
	const stores = new TrustStores([entry], {events});
	return {store: stores.all[0] as NonNullable<(typeof stores.all)[0]>, heard};
}

const pemOf = ({ca}: TestAuthority): string => readFileSync(ca, 'utf8');

test.skipIf(process.platform === 'win32')(
	'what is no file in a CA folder is left out, with a warning, once',
	() => {
		copyFileSync(authority.ca, join(folder, '00000001.0'));
		symlinkSync(join(folder, '00000002.0'), join(folder, '00000002.0'));
		symlinkSync(join(folder, '00000004.0'), join(folder, '00000003.0'));
		symlinkSync(join(folder, '00000003.0'), join(folder, '00000004.0'));
		execFileSync('mkfifo', [join(folder, '00000005.0')]);
		writeFileSync(join(folder, '00000006.0'), 'nothing');
		const {store, heard} = open(folder);
		expect(store.certificates()).toEqual([pemOf(authority)]);
		const of = (name: string, reason: string): string =>
			`gatepass:trust:error: The CA file ${join(folder, name)} ${reason}. It is left out: replace it, or remove it`;
		const expected = [
			...['2', '3', '4'].map(n => of(`0000000${n}.0`, 'is a symbolic link that leads back to itself')),
			of('00000005.0', 'is not a file but a named pipe'),
			of('00000006.0', 'holds no certificate'),
		];
		expect(heard.toSorted()).toEqual(expected);
		expect(store.problems()).toHaveLength(5);
		vi.advanceTimersByTime(61_000);
		expect(store.certificates()).toEqual([pemOf(authority)]);
		expect(heard).toHaveLength(5);
		rmSync(join(folder, '00000006.0'));
		vi.advanceTimersByTime(1000);
		store.version();
		writeFileSync(join(folder, '00000006.0'), 'nothing again');
		vi.advanceTimersByTime(1000);
		store.version();
		expect(heard).toHaveLength(6);
	},
);

test('a CA file that is a link to itself is an error that says so', () => {
	const file = join(folder, 'ca.pem');
	symlinkSync(file, file);
	expect(() => open(file).store.certificates()).toThrow(CertificateError);
	expect(() => open(file).store.certificates()).toThrow(
		`The CA file ${file} is a symbolic link that leads back to itself. Name another under 'trust'`,
	);
});

test('a file that cannot be used any more leaves the one before in use, and is told once', () => {
	const file = join(folder, 'ca.pem');
	writeFileSync(file, pemOf(authority));
	const {store, heard} = open(file);
	expect(store.certificates()).toEqual([pemOf(authority)]);
	writeFileSync(file, pemOf(authority).slice(0, 200));
	for (let look = 0; look < 3; look++) {
		vi.advanceTimersByTime(1000);
		expect(store.certificates()).toEqual([pemOf(authority)]);
	}
	expect(heard).toEqual([expect.stringMatching(/ca\.pem is damaged or cut off/)]);
});

test.each(['a file', 'a folder'])(
	'a second write of the same size within one second of the file system: %s',
	kind => {
		clock.isCoarse = true;
		const [one, two] = [pemOf(authority), pemOf(other)];
		const size = Math.max(one.length, two.length);
		const file = join(folder, '12345678.0');
		writeFileSync(file, one.padEnd(size, '\n'));
		const {store} = open(kind === 'a file' ? file : folder);
		expect(store.certificates()).toEqual([one]);
		const version = store.version();
		writeFileSync(file, two.padEnd(size, '\n'));
		vi.advanceTimersByTime(1000);
		expect(store.certificates()).toEqual([two]);
		expect(store.version()).not.toBe(version);
	},
);
