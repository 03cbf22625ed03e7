/** Stores in trouble: requests go on from memory, an event says so, and the store is used again when it is well. */
import {execFile} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {subscribe, unsubscribe} from 'node:diagnostics_channel';
import {chmod, chown, mkdir, rm, writeFile} from 'node:fs/promises';
import {dirname} from 'node:path';
import {setTimeout as delay} from 'node:timers/promises';
import {inspect, promisify} from 'node:util';
import type {KeyvStoreAdapter} from 'keyv';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test} from 'vitest';
import {type Gatepass, TokenCacheError} from '../../src/index.ts';
import {describeWith, findProgram, type RealServer} from '../servers/availability.ts';
import type {Postgres} from '../servers/postgres.ts';
import type {Redis} from '../servers/redis.ts';
import {type Backend, type BackendKind, postgres, redis, sqlite} from './backends.ts';
import {type ClientSettings, createClient} from './client.ts';
import {type Member, startFleet} from './fleet.ts';
import {TokenEndpoint} from './token-endpoint.ts';

/** Milliseconds that a store may hold up a request: its patience is one second. A store in trouble may say nothing for ever. */
const bound = 30_000;

let endpoint: TokenEndpoint;
let reports: Error[];
beforeEach(async () => {
	endpoint = await TokenEndpoint.start();
	reports = [];
	const listen = (message: unknown) => reports.push((message as {error: Error}).error);
	subscribe('gatepass:token:error', listen);
	onTestFinished(() => void unsubscribe('gatepass:token:error', listen));
});
afterEach(() => endpoint.close());

async function tokenOf(gatepass: Gatepass, tenant: string): Promise<string> {
	const begun = performance.now();
	const {headers} = await gatepass.authorize(endpoint.url, {tenant});
	expect(performance.now() - begun).toBeLessThan(bound);
	return headers.authorization ?? '';
}

/** What a service does while its store is in trouble: it goes on with the token at hand, and gets others. */
async function expectToGoOn(gatepass: Gatepass, atHand: string): Promise<void> {
	for (let count = 0; count < 50; count++) expect(await tokenOf(gatepass, 'first')).toBe(atHand);
	const another = await tokenOf(gatepass, 'another');
	expect(another).toMatch(/^Bearer token-/);
	for (let count = 0; count < 50; count++) expect(await tokenOf(gatepass, 'another')).toBe(another);
	expect(reports.length).toBeGreaterThan(0);
	for (const error of reports) {
		expect(error).toBeInstanceOf(TokenCacheError);
		expect(`${error.message}${JSON.stringify(error)}`).not.toContain('password');
	}
}

let tenants = 0;
/** The store is well when a process that has just begun finds in it what another one has fetched. */
async function expectRecovery(gatepass: Gatepass, settings: ClientSettings): Promise<void> {
	const isShared = async (): Promise<boolean> => {
		const tenant = `tenant-${tenants++}`;
		const other = await createClient(endpoint, settings);
		return (await tokenOf(gatepass, tenant)) === (await tokenOf(other, tenant));
	};
	await expect.poll(isShared, {interval: 300}).toBe(true);
}

interface Trouble<Kind extends Backend> {
	begin(backend: Kind): Promise<unknown>;
	end(backend: Kind): Promise<unknown>;
}

function testTroubles<Kind extends Backend & {readonly source: string}>(
	kind: BackendKind<Kind>,
	troubles: Record<string, Trouble<Kind>>,
): void {
	describeWith(kind.needs, kind.name, () => {
		let backend: Kind;
		beforeAll(async () => {
			backend = await kind.start();
		});
		afterAll(() => backend?.close());

		test.each(Object.entries(troubles))('%s', async (_, {begin, end}) => {
			const settings = {cacheUrl: backend.source};
			const gatepass = await createClient(endpoint, settings);
			const atHand = await tokenOf(gatepass, 'first');
			expect(reports).toEqual([]);
			await begin(backend);
			try {
				await expectToGoOn(gatepass, atHand);
			} finally {
				await end(backend);
			}
			await expectRecovery(gatepass, settings);
		});
	});
}

testTroubles<Backend & {readonly source: string; readonly server: Redis}>(redis, {
	'killed, and started again': {
		begin: ({server}) => server.kill(),
		end: ({server}) => server.restart(),
	},
	'paused, so that it says nothing': {
		begin: async ({server}) => server.pause(),
		end: async ({server}) => server.resume(),
	},
	full: {
		begin: ({server}) => server.run('CONFIG', 'SET', 'maxmemory', '1'),
		end: ({server}) => server.run('CONFIG', 'SET', 'maxmemory', '0'),
	},
	'read-only, as a replica is': {
		begin: ({server}) => server.run('REPLICAOF', '127.0.0.1', '1'),
		end: ({server}) => server.run('REPLICAOF', 'NO', 'ONE'),
	},
});

const endSessions =
	'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL';

testTroubles<Backend & {readonly source: string; readonly server: Postgres}>(postgres, {
	'stopped, and started again': {
		begin: ({server}) => server.kill(),
		end: ({server}) => server.restart(),
	},
	'read-only': {
		begin: ({server}) =>
			server.run(`ALTER DATABASE postgres SET default_transaction_read_only = on; ${endSessions}`),
		end: ({server}) =>
			server.run(`BEGIN READ WRITE; ALTER DATABASE postgres RESET ALL; COMMIT; ${endSessions}`),
	},
	'locked by somebody who takes long': {
		begin: async ({server}) => {
			const wait = 'BEGIN; LOCK TABLE gatepass_entries; SELECT pg_sleep(60)';
			void server.run(wait).catch(() => {});
			const held = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted";
			await expect.poll(() => server.run(held)).not.toBe('0');
		},
		end: ({server}) => server.run(endSessions),
	},
});

for (const kind of [redis, postgres] as readonly BackendKind<Backend & {source: string}>[]) {
	describeWith(kind.needs, `a wrong password for ${kind.name}`, () => {
		test('is told once, as such, and hidden', async () => {
			const backend = await kind.start();
			onTestFinished(() => backend.close());
			const url = new URL(backend.source);
			url.password = 'the-wrong-one';
			const gatepass = await createClient(endpoint, {cacheUrl: url.href});
			// Long enough for the store to be asked several times.
			const until = performance.now() + 2500;
			for (let count = 0; performance.now() < until; count++) {
				await tokenOf(gatepass, `tenant ${count}`);
				await delay(100);
			}
			expect(reports.map(({message}) => message)).toEqual([
				expect.stringMatching(
					/requests go on from memory\. .*refuses the user name or password in 'cache\.url'/,
				),
			]);
			await expect(gatepass.forget()).rejects.toThrow(
				/may still be there\. .*refuses the user name or password/,
			);
			expect(inspect(reports, {depth: 10})).not.toContain('the-wrong-one');
		});
	});
}

describe('sqlite', () => {
	test('a folder in the place of its file', async () => {
		const {source, file} = await sqliteFile();
		await mkdir(file);
		const settings = {cacheUrl: source};
		const gatepass = await createClient(endpoint, settings);
		await expectToGoOn(gatepass, await tokenOf(gatepass, 'first'));
		await rm(file, {recursive: true});
		await expectRecovery(gatepass, settings);
	});

	test('a file that this user may not write to', async () => {
		const {source, file} = await sqliteFile();
		const [member, other] = (await startFleet(2)) as [Member, Member];
		onTestFinished(() => Promise.all([member.end(), other.end()]).then(() => {}));
		await writeFile(file, '');
		await chmod(file, 0o444);
		await chmod(dirname(file), 0o555);
		// Root may write everywhere, so it becomes somebody else.
		const user = process.getuid?.() === 0 ? {user: 65_534} : {};
		const settings = {storeUrl: source, tokenEndpoint: endpoint.url, leaseDuration: 30_000, ...user};
		await Promise.all([member.begin(settings), other.begin(settings)]);
		expect(await member.ask(100)).toEqual({
			tokens: ['token-1'],
			failures: [],
			reports: [expect.stringMatching(/belongs to another user|readonly database/)],
		});
		if (user.user !== undefined) await chown(file, user.user, -1);
		if (user.user !== undefined) await chown(dirname(file), user.user, -1);
		await chmod(dirname(file), 0o755);
		await chmod(file, 0o600);
		await expectSharing(member, other);
	});

	describeWith(prlimit, 'a disk that is full', () => {
		test('that is, a limit on the size of files', async () => {
			const {source} = await sqliteFile();
			const [member, other] = (await startFleet(2)) as [Member, Member];
			onTestFinished(() => Promise.all([member.end(), other.end()]).then(() => {}));
			const settings = {storeUrl: source, tokenEndpoint: endpoint.url, leaseDuration: 30_000};
			await Promise.all([member.begin(settings), other.begin(settings)]);
			expect(await member.ask(100)).toEqual({tokens: ['token-1'], failures: [], reports: []});
			await limitFiles(member, '1');
			for (const number of [2, 3, 4]) {
				const {tokens, failures, reports} = await member.ask(100, `token ${number}`);
				expect([tokens, failures]).toEqual([[`token-${number}`], []]);
				if (number === 2) expect(reports.join()).toMatch(/disk/);
			}
			await limitFiles(member, 'unlimited');
			await expectSharing(member, other);
		});
	});
});

/** The number of the test that is running is not in the key, so each attempt asks for a token of its own. */
async function expectSharing(member: Member, other: Member): Promise<void> {
	const isShared = async (): Promise<boolean> => {
		const key = `attempt ${tenants++}`;
		const [first] = (await member.ask(1, key)).tokens;
		const [second] = (await other.ask(1, key)).tokens;
		return first === second;
	};
	await expect.poll(isShared, {interval: 300}).toBe(true);
}

async function sqliteFile(): Promise<{source: string; file: string}> {
	const {source, close} = await sqlite.start();
	onTestFinished(close);
	return {source, file: source.slice('sqlite:'.length)};
}

const prlimit: RealServer = {
	name: 'prlimit',
	install: 'apt-get install util-linux',
	whyUnavailable: () => (findProgram('prlimit') === undefined ? 'there is no program prlimit' : undefined),
};

/** How many bytes a file may have that the process writes to. */
async function limitFiles({pid}: Member, bytes: string): Promise<void> {
	await promisify(execFile)(findProgram('prlimit') as string, ['--pid', String(pid), `--fsize=${bytes}:`]);
}

describe('garbage in the place of a token', () => {
	for (const kind of [sqlite, redis, postgres] as readonly BackendKind<Backend & {source: string}>[]) {
		describeWith(kind.needs, kind.name, () => {
			let backend: Backend & {source: string};
			beforeAll(async () => {
				backend = await kind.start();
			});
			afterAll(() => backend?.close());

			test.each([
				['nothing that keyv knows', 'garbage \u{1F4A5} {'],
				['half an entry', '{"value":{"value":"x","type":"Bea'],
				['a token of no type', '{"value":{"value":"x","type":"Basic"},"expires":4000000000000}'],
				['an entry that is in clear text', '{"value":{"value":"x","type":"Bearer"},"expires":4000000000000}'],
				[
					'an entry that was sealed with another key',
					`{"value":"v1.AAAAAAAA.${'A'.repeat(16)}.${'A'.repeat(80)}"}`,
				],
			])('%s is passed over, told, and replaced', async (_, garbage) => {
				const settings = {cacheUrl: backend.source, encryptionKey: randomBytes(32).toString('base64')};
				const before = await createClient(endpoint, settings);
				await tokenOf(before, 'first');
				for (const name of (await backend.entries()).keys()) await backend.put(name, garbage);

				const meeting = await createClient(endpoint, settings);
				expect(await tokenOf(meeting, 'first')).toBe('Bearer token-2');
				expect(reports.length).toBeGreaterThan(0);
				for (const error of reports) expect(error).toBeInstanceOf(TokenCacheError);
				// Whoever has it in memory goes on.
				expect(await tokenOf(before, 'first')).toBe('Bearer token-1');

				reports.length = 0;
				const after = await createClient(endpoint, settings);
				expect(await tokenOf(after, 'first')).toBe('Bearer token-2');
				expect([endpoint.requests, reports]).toEqual([2, []]);
			});
		});
	}
});

describe('an adapter of the caller’s', () => {
	test('that takes two seconds for each answer', async () => {
		const map = new Map<string, unknown>();
		let pause = 2000;
		const slowly = <Result>(work: () => Result) => delay(pause).then(work);
		const cache = {
			opts: {},
			get: (key: string) => slowly(() => map.get(key)),
			set: (key: string, value: unknown) => slowly(() => map.set(key, value)),
			delete: (key: string) => slowly(() => map.delete(key)),
			clear: () => slowly(() => map.clear()),
			on: () => cache,
		} as unknown as KeyvStoreAdapter;
		const gatepass = await createClient(endpoint, {cache});
		await expectToGoOn(gatepass, await tokenOf(gatepass, 'first'));
		pause = 0;
		await expectRecovery(gatepass, {cache});
	});
});
