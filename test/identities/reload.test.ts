/** A renewed certificate is taken up without a restart; whatever goes wrong with it, the one in use stays in use. */
import {createPrivateKey} from 'node:crypto';
import {
	copyFileSync,
	mkdirSync,
	mkdtempSync,
	readFileSync,
	realpathSync,
	renameSync,
	rmSync,
	symlinkSync,
	truncateSync,
	unlinkSync,
	utimesSync,
	writeFileSync,
} from 'node:fs';
import {stat} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi} from 'vitest';
import {IdentityStore} from '../../src/identities/identity-store.ts';
import {readIdentity} from '../../src/identities/read-identity.ts';
import {type EventName, type EventPayloads, Events} from '../../src/observability/events.ts';
import type {Identity, IdentitySource} from '../../src/strategy/services.ts';
import {type CertificateFiles, createTestAuthority, type TestAuthority} from '../../src/testing/index.ts';

vi.mock('node:fs/promises', async importOriginal => {
	const original = await importOriginal<typeof import('node:fs/promises')>();
	return {...original, stat: vi.fn(original.stat)};
});

vi.mock('../../src/identities/read-identity.ts', async importOriginal => {
	const original = await importOriginal<typeof import('../../src/identities/read-identity.ts')>();
	return {...original, readIdentity: vi.fn(original.readIdentity)};
});

interface Heard {
	readonly name: EventName;
	readonly payload: EventPayloads[EventName];
}

let authority: TestAuthority;
let folder: string;
let events: Heard[];
let retired: Identity[];
let store: IdentityStore;
const people = new Map<string, CertificateFiles>();
const source: IdentitySource = {certificate: 'cert.pem', key: 'key.pem'};

beforeAll(async () => {
	authority = await createTestAuthority();
	for (const name of ['alice', 'bob', 'carol']) {
		people.set(name, await authority.issue(name, {subject: `CN=${name}`}));
	}
});
afterAll(() => authority.close());
beforeEach(() => {
	folder = realpathSync(mkdtempSync(join(tmpdir(), 'gatepass-reload-')));
	vi.useFakeTimers({toFake: ['Date'], now: Date.now()});
	events = [];
	retired = [];
	store = open();
});
afterEach(() => {
	vi.useRealTimers();
	rmSync(folder, {recursive: true, force: true});
});

function open(variables: Record<string, string> = {}): IdentityStore {
	return new IdentityStore(
		folder,
		{HOME: folder, ...variables},
		{
			events: new Events([(name, payload) => events.push({name, payload})]),
			retire: identity => retired.push(identity),
			proxyFolder: folder,
		},
	);
}

function textOf(name: string, part: 'certificate' | 'key'): string {
	return readFileSync((people.get(name) as CertificateFiles)[part], 'utf8');
}

/** Write somebody's pair, in place. */
function write(name: string, place = '.'): void {
	mkdirSync(join(folder, place), {recursive: true});
	writeFileSync(join(folder, place, 'cert.pem'), textOf(name, 'certificate'));
	writeFileSync(join(folder, place, 'key.pem'), textOf(name, 'key'), {mode: 0o600});
}

/** Write somebody's pair as the grid's tools name it. */
function put(name: string, place: string): void {
	write(name, place);
	renameSync(join(folder, place, 'cert.pem'), join(folder, place, 'usercert.pem'));
	renameSync(join(folder, place, 'key.pem'), join(folder, place, 'userkey.pem'));
}

const proxyFile = (): string => join(folder, `x509up_u${process.geteuid?.()}`);

function putProxy(name: string): void {
	writeFileSync(proxyFile(), textOf(name, 'certificate') + textOf(name, 'key'), {mode: 0o600});
}

/** A second later, when files may be looked at again. */
function later(milliseconds = 1000): void {
	vi.setSystemTime(Date.now() + milliseconds);
}

/** Look until the files have settled: from then on a change is seen by what stat tells alone. */
async function settle(of: IdentitySource = source): Promise<void> {
	for (let look = 0; look < 2; look++) {
		later(10_000);
		await store.load(of);
	}
}

const heard = (): [EventName, string?][] =>
	events.map(({name, payload}) =>
		'error' in payload
			? [name, (payload.error as Error).message]
			: [name, (payload as {subject: string}).subject],
	);

async function subject(of: IdentitySource = source): Promise<string> {
	return (await store.load(of)).subject;
}

describe('a replaced file takes effect', () => {
	beforeEach(async () => {
		write('alice');
		expect(await subject()).toBe('CN=alice');
		await settle();
	});
	afterEach(() => {
		expect(heard()).toEqual([['gatepass:certificate:replaced', 'CN=bob']]);
		expect(events[0]?.payload).toEqual({
			subject: 'CN=bob',
			previous: 'CN=alice',
			file: join(folder, 'cert.pem'),
			expiresAt: expect.any(Number),
		});
		expect(retired.map(({subject}) => subject)).toEqual(['CN=alice']);
	});

	test('by writing in place', async () => {
		write('bob');
		later();
		expect(await subject()).toBe('CN=bob');
	});

	test('by renaming', async () => {
		write('bob', 'new');
		for (const name of ['key.pem', 'cert.pem']) renameSync(join(folder, 'new', name), join(folder, name));
		later();
		expect(await subject()).toBe('CN=bob');
	});

	test('not before a second has gone by, and for requests made after that at once', async () => {
		write('bob');
		later(999);
		expect(await subject()).toBe('CN=alice');
		later(1);
		expect(await Promise.all([subject(), subject(), subject()])).toEqual(['CN=bob', 'CN=bob', 'CN=bob']);
	});

	test('also where the clock was set back', async () => {
		write('bob');
		later(-60_000);
		expect(await subject()).toBe('CN=bob');
	});
});

test('a file that is renamed takes effect, be it of the same size and time', async () => {
	const [one, other] = ['alice', 'bob'].map(name => textOf(name, 'certificate') + textOf(name, 'key'));
	const size = Math.max((one as string).length, (other as string).length);
	const files = [join(folder, 'cert.pem'), join(folder, 'other.pem')] as const;
	for (const [index, text] of [one, other].entries()) {
		writeFileSync(files[index] as string, (text as string).padEnd(size, '\n'), {mode: 0o600});
		utimesSync(files[index] as string, 1_700_000_000, 1_700_000_000);
	}
	const proxy = {proxy: 'cert.pem'};
	expect(await subject(proxy)).toBe('CN=alice');
	await settle(proxy);
	renameSync(files[1], files[0]);
	later();
	expect(await subject(proxy)).toBe('CN=bob');
});

test('a replaced symbolic link takes effect, as mounted secrets have them', async () => {
	write('alice', '..one');
	write('bob', '..two');
	symlinkSync('..one', join(folder, '..data'));
	for (const name of ['cert.pem', 'key.pem']) symlinkSync(`..data/${name}`, join(folder, name));
	expect(await subject()).toBe('CN=alice');
	symlinkSync('..two', join(folder, '..new'));
	renameSync(join(folder, '..new'), join(folder, '..data'));
	later();
	expect(await subject()).toBe('CN=bob');
});

test('a file of the same size and time, written soon after it was read, is noticed too', async () => {
	const proxies = ['alice', 'bob', 'carol'].map(name => textOf(name, 'certificate') + textOf(name, 'key'));
	const file = join(folder, 'proxy.pem');
	writeFileSync(file, proxies[0] as string, {mode: 0o600});
	const proxy: IdentitySource = {proxy: file};
	// Of a file system that counts in long steps, stat tells nothing of a change.
	const real = await stat(file, {bigint: true});
	const second = (BigInt(Date.now()) / 1000n) * 1_000_000_000n;
	const coarse = Object.assign(real, {mtimeNs: second, ctimeNs: second});
	const {stat: original} = await vi.importActual<typeof import('node:fs/promises')>('node:fs/promises');
	vi.mocked(stat).mockResolvedValue(coarse as never);
	try {
		expect(await subject(proxy)).toBe('CN=alice');
		writeFileSync(file, proxies[1] as string);
		later();
		expect(await subject(proxy)).toBe('CN=bob');
		writeFileSync(file, proxies[2] as string);
		later();
		expect(await subject(proxy)).toBe('CN=carol');
	} finally {
		vi.mocked(stat).mockImplementation(original as never);
	}
});

test('files that are replaced while they are read are read once more', async () => {
	const original = vi.mocked(readIdentity).getMockImplementation() as typeof readIdentity;
	vi.mocked(readIdentity).mockImplementationOnce(async place => {
		const identity = await original(place);
		write('bob');
		return identity;
	});
	write('alice');
	expect(await subject()).toBe('CN=bob');
	vi.mocked(readIdentity).mockImplementationOnce(async place => {
		copyFileSync((people.get('carol') as CertificateFiles).key, join(folder, 'key.pem'));
		const torn = await original(place).catch((error: unknown) => error);
		write('carol');
		throw torn;
	});
	copyFileSync((people.get('carol') as CertificateFiles).certificate, join(folder, 'cert.pem'));
	writeFileSync(join(folder, 'key.pem'), '', {mode: 0o600});
	later(5000);
	expect(await subject()).toBe('CN=carol');
	expect(heard()).toEqual([['gatepass:certificate:replaced', 'CN=carol']]);
});

describe('between two looks', () => {
	test('no file is looked at, and the same promise is given out', async () => {
		write('alice');
		await subject();
		const calls = vi.mocked(stat).mock.calls.length;
		const first = store.load(source);
		for (let i = 0; i < 1000; i++) expect(store.load(source)).toBe(first);
		expect(vi.mocked(stat).mock.calls.length).toBe(calls);
		expect(await store.load({...source})).toBe(await first);
		later();
		await Promise.all(Array.from({length: 100}, () => store.load(source)));
		const looks = vi.mocked(stat).mock.calls.length - calls;
		expect(looks).toBeGreaterThan(0);
		expect(looks).toBeLessThan(20);
	});

	test('files that have settled are looked at, and not read again', async () => {
		write('alice');
		await subject();
		await settle();
		const [looks, readings] = [stat, readIdentity].map(one => vi.mocked(one).mock.calls.length);
		later();
		await subject();
		expect(vi.mocked(stat).mock.calls.length).toBe((looks as number) + 2);
		expect(vi.mocked(readIdentity).mock.calls.length).toBe(readings);
		// Another source of the same files looks at them, too, and does not read them either.
		await subject({certificate: './cert.pem', key: './key.pem'});
		expect(vi.mocked(readIdentity).mock.calls.length).toBe(readings);
	});

	test('nor are files from the future, by the clock of another machine', async () => {
		write('alice');
		const tomorrow = Date.now() / 1000 + 86_400;
		vi.useRealTimers();
		for (const name of ['cert.pem', 'key.pem']) utimesSync(join(folder, name), tomorrow, tomorrow);
		// Nor does the time of the last change of anything about the file tell.
		const {stat: original} = await vi.importActual<typeof import('node:fs/promises')>('node:fs/promises');
		vi.mocked(stat).mockImplementation((async (file: string) => {
			const information = await original(file, {bigint: true});
			return Object.assign(information, {ctimeNs: 0n});
		}) as never);
		vi.useFakeTimers({toFake: ['Date'], now: Date.now()});
		try {
			await subject();
			const readings = vi.mocked(readIdentity).mock.calls.length;
			later();
			await subject();
			expect(vi.mocked(readIdentity).mock.calls.length).toBe(readings);
		} finally {
			vi.mocked(stat).mockImplementation(original as never);
		}
	});

	test('an identity that ends is given out no more', async () => {
		const short = await authority.issue('short', {subject: 'CN=short', notAfter: Date.now() + 60_000});
		copyFileSync(short.certificate, join(folder, 'cert.pem'));
		copyFileSync(short.key, join(folder, 'key.pem'));
		const {notAfter} = await store.load(source);
		await settle();
		vi.setSystemTime(notAfter - 10);
		expect(await subject()).toBe('CN=short');
		vi.setSystemTime(notAfter + 1);
		await expect(store.load(source)).rejects.toThrow(/cert\.pem expired on/);
	});
});

test('a file that was touched, or written again with the same content, gives the same object', async () => {
	write('alice');
	const before = await store.load(source);
	write('alice');
	later();
	expect(await store.load(source)).toBe(before);
	expect([events, retired]).toEqual([[], []]);
});

describe('what cannot be used leaves the old one in use, and is told once', () => {
	let before: Identity;
	beforeEach(async () => {
		write('alice');
		before = await store.load(source);
	});

	test.each<[string, () => void, RegExp]>([
		[
			'half a certificate',
			() => truncateSync(join(folder, 'cert.pem'), 100),
			/cert\.pem is damaged or cut off/,
		],
		['an empty key', () => truncateSync(join(folder, 'key.pem')), /key\.pem holds no private key/],
		[
			'the certificate without its key',
			() => copyFileSync((people.get('bob') as CertificateFiles).certificate, join(folder, 'cert.pem')),
			/key\.pem does not belong to the certificate/,
		],
		['the key taken away', () => unlinkSync(join(folder, 'key.pem')), /There is no file .*key\.pem/],
		['a key for all to read', () => writeAs(0o644), /chmod 600/],
	])('%s', async (_, damage, message) => {
		damage();
		for (let look = 0; look < 5; look++) {
			later();
			expect(await store.load(source)).toBe(before);
		}
		expect(heard()).toEqual([['gatepass:certificate:error', expect.stringMatching(message)]]);
		expect(events[0]?.payload).toMatchObject({subject: 'CN=alice', file: join(folder, 'cert.pem')});
		expect(store.explain(source).at(-1)).toMatch(/^The certificate read before stays in use: .*\.pem/);
		expect(retired).toEqual([]);
		rmSync(join(folder, 'key.pem'), {force: true});
		write('bob');
		later();
		expect(await subject()).toBe('CN=bob');
		expect(store.explain(source)).toHaveLength(1);
		expect(heard().at(-1)).toEqual(['gatepass:certificate:replaced', 'CN=bob']);
	});

	function writeAs(mode: number): void {
		rmSync(join(folder, 'key.pem'));
		writeFileSync(join(folder, 'key.pem'), textOf('alice', 'key'), {mode});
	}

	test('until it has expired', async () => {
		truncateSync(join(folder, 'cert.pem'));
		later();
		expect(await store.load(source)).toBe(before);
		later(before.notAfter - Date.now());
		await expect(store.load(source)).rejects.toThrow(/cert\.pem holds no certificate/);
		expect(retired).toEqual([before]);
	});

	test('a certificate that is yet to begin is taken up when it has begun, without another change', async () => {
		const begin = Date.now() + 30_000;
		const next = await authority.issue('next', {subject: 'CN=next', notBefore: begin});
		copyFileSync(next.certificate, join(folder, 'cert.pem'));
		copyFileSync(next.key, join(folder, 'key.pem'));
		later(10_000);
		expect(await store.load(source)).toBe(before);
		expect(heard()).toEqual([['gatepass:certificate:error', expect.stringMatching(/cert\.pem begins on/)]]);
		later(60_000);
		expect(await subject()).toBe('CN=next');
	});

	test('files that are gone are taken for withdrawn, but not at the first look', async () => {
		for (const name of ['cert.pem', 'key.pem']) unlinkSync(join(folder, name));
		later();
		expect(await store.load(source)).toBe(before);
		later();
		await expect(store.load(source)).rejects.toMatchObject({code: 'ERR_GATEPASS_CREDENTIAL_UNAVAILABLE'});
		expect(retired).toEqual([before]);
		write('bob');
		expect(await subject()).toBe('CN=bob');
	});

	test('files that come back between two looks were never gone', async () => {
		for (const name of ['cert.pem', 'key.pem']) unlinkSync(join(folder, name));
		later();
		expect(await store.load(source)).toBe(before);
		write('bob');
		later();
		expect(await subject()).toBe('CN=bob');
		expect(heard()).toEqual([['gatepass:certificate:replaced', 'CN=bob']]);
		for (const name of ['cert.pem', 'key.pem']) unlinkSync(join(folder, name));
		later();
		expect(await subject()).toBe('CN=bob');
	});
});

test('without one in use, each request sees at once whether the files were put right', async () => {
	await expect(store.load(source)).rejects.toThrow(/There is no file/);
	writeFileSync(join(folder, 'cert.pem'), 'nothing');
	writeFileSync(join(folder, 'key.pem'), '', {mode: 0o600});
	await expect(store.load(source)).rejects.toThrow(/holds no/);
	write('alice');
	expect(await subject()).toBe('CN=alice');
});

describe('a search', () => {
	test('takes up a place that goes before, as soon as something is there', async () => {
		put('alice', '.globus');
		expect(await subject({})).toBe('CN=alice');
		await settle({});
		putProxy('bob');
		later();
		expect(await subject({})).toBe('CN=bob');
		expect(heard()).toEqual([['gatepass:certificate:replaced', 'CN=bob']]);
		expect(retired.map(({subject}) => subject)).toEqual(['CN=alice']);
		await settle({});
		unlinkSync(proxyFile());
		later();
		expect(await subject({})).toBe('CN=bob');
		later();
		expect(await subject({})).toBe('CN=alice');
		expect(retired.map(({subject}) => subject)).toEqual(['CN=alice', 'CN=bob']);
	});

	test('stays where it was while what goes before cannot be used', async () => {
		put('alice', '.globus');
		expect(await subject({})).toBe('CN=alice');
		writeFileSync(proxyFile(), 'half', {mode: 0o600});
		later();
		expect(await subject({})).toBe('CN=alice');
		expect(heard()).toEqual([['gatepass:certificate:error', expect.stringMatching(/x509up_u\d+ holds no/)]]);
		putProxy('bob');
		later();
		expect(await subject({})).toBe('CN=bob');
	});

	test('sees what appears in a folder that goes before', async () => {
		put('alice', '.globus');
		await store.load({});
		await settle({});
		const file = join(folder, 'private', 'usercred.p12');
		mkdirSync(join(folder, 'private'));
		writeFileSync(file, 'nothing', {mode: 0o600});
		later();
		expect(await subject({})).toBe('CN=alice');
		expect(heard()).toEqual([['gatepass:certificate:error', expect.stringContaining(file)]]);
		put('bob', 'private');
		later();
		expect(await subject({})).toBe('CN=bob');
	});

	test('goes on to the next place when a proxy has expired', async () => {
		const short = await authority.issue('short', {subject: 'CN=short', notAfter: Date.now() + 60_000});
		writeFileSync(proxyFile(), readFileSync(short.certificate, 'utf8') + readFileSync(short.key, 'utf8'), {
			mode: 0o600,
		});
		put('alice', '.globus');
		expect(await subject({})).toBe('CN=short');
		later(60_000);
		expect(await subject({})).toBe('CN=alice');
	});
});

describe('sources that name the same files', () => {
	test('share one object, also after a renewal that only one of them has noticed', async () => {
		write('alice');
		const other: IdentitySource = {
			certificate: join(folder, 'cert.pem'),
			key: `${folder}/../${folder.split('/').at(-1)}/key.pem`,
		};
		expect(await store.load(source)).toBe(await store.load(other));
		later(500);
		await store.load(other);
		write('bob');
		later(500);
		const renewed = await store.load(source);
		expect(renewed.subject).toBe('CN=bob');
		expect(await store.load(other)).toBe(renewed);
		expect(retired).toHaveLength(1);
		expect(events).toHaveLength(1);
	});

	test('but not where one demands a robot', async () => {
		write('alice');
		await store.load(source);
		await expect(store.load({...source, requireRobot: true})).rejects.toThrow(/requireRobot/);
		expect(await subject()).toBe('CN=alice');
	});

	test('hold a place until the last of them has left it', async () => {
		put('alice', '.globus');
		const byFiles = {certificate: '.globus/usercert.pem', key: '.globus/userkey.pem'};
		const [search, another]: IdentitySource[] = [{}, {requireRobot: false}];
		const before = await store.load(byFiles);
		expect(await Promise.all([search, another].map(one => store.load(one as IdentitySource)))).toEqual([
			before,
			before,
		]);
		putProxy('bob');
		later();
		expect(await subject(search)).toBe('CN=bob');
		expect(await subject(another)).toBe('CN=bob');
		expect(await store.load(byFiles)).toBe(before);
		expect(retired).toEqual([]);
		expect(heard()).toEqual([['gatepass:certificate:replaced', 'CN=bob']]);
	});
});

describe('a passphrase that nobody gave', () => {
	const passphrase = 'canary-passphrase';
	let asked: string[];
	let answer: string | undefined;
	beforeEach(() => {
		asked = [];
		answer = passphrase;
		store = new IdentityStore(
			folder,
			{},
			{
				passphrases: {
					async find(file) {
						asked.push(file);
						return answer;
					},
				},
			},
		);
		writeEncrypted('alice');
	});

	function writeEncrypted(name: string, secret = passphrase): void {
		writeFileSync(join(folder, 'cert.pem'), textOf(name, 'certificate'));
		const key = createPrivateKey(textOf(name, 'key'));
		const text = key.export({type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: secret});
		writeFileSync(join(folder, 'key.pem'), text, {mode: 0o600});
	}

	test('is asked for once, and serves for the renewed key too', async () => {
		expect(await Promise.all([subject(), subject()])).toEqual(['CN=alice', 'CN=alice']);
		writeEncrypted('bob');
		later();
		expect(await subject()).toBe('CN=bob');
		expect(asked).toEqual([join(folder, 'key.pem')]);
	});

	test('is asked for again where the renewed key has another one', async () => {
		expect(await subject()).toBe('CN=alice');
		answer = 'canary-renewed';
		writeEncrypted('bob', answer);
		later();
		expect(await subject()).toBe('CN=bob');
		writeEncrypted('carol', answer);
		later();
		expect(await subject()).toBe('CN=carol');
		expect(asked).toHaveLength(2);
	});

	test('is not asked for where it was given, or the key is not encrypted', async () => {
		expect(await subject({...source, passphrase})).toBe('CN=alice');
		write('alice');
		expect(await subject()).toBe('CN=alice');
		expect(asked).toEqual([]);
	});

	test('and that is not to be had, or wrong, is told as such', async () => {
		answer = undefined;
		await expect(store.load(source)).rejects.toThrow(/key\.pem is encrypted\. Give the option 'passphrase'/);
		answer = 'canary-wrong';
		later();
		await expect(store.load(source)).rejects.toThrow(/does not open with the passphrase given/);
		answer = passphrase;
		later();
		expect(await subject()).toBe('CN=alice');
	});

	test('is nobody asked for where nobody is there to be asked', async () => {
		await expect(new IdentityStore(folder, {}).load(source)).rejects.toThrow(/is encrypted/);
	});
});
