/** The keyv adapters: keyv's own test suite over those of Redis and PostgreSQL, and adapters and instances that a caller hands in. */
import {spawnSync} from 'node:child_process';
import {existsSync} from 'node:fs';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {KeyvPostgres} from '@keyv/postgres';
import KeyvRedis from '@keyv/redis';
import keyvTestSuite, {keyvIteratorTests} from '@keyv/test-suite';
import {Keyv, type KeyvStoreAdapter} from 'keyv';
import * as vitest from 'vitest';
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest';
import type {Token} from '../../src/strategy/services.ts';
import {openTokenStore} from '../../src/tokens/open-store.ts';
import {PostgresStore} from '../../src/tokens/stores/postgres-store.ts';
import {openRedis} from '../../src/tokens/stores/redis-store.ts';
import {describeWith} from '../servers/availability.ts';
import {type Postgres, postgresServer, startPostgres} from '../servers/postgres.ts';
import {type Redis, redisServer, startRedis} from '../servers/redis.ts';

const token: Token = {value: 'a-token', type: 'Bearer'};
const newer: Token = {value: 'a-newer-token', type: 'Bearer'};
const minute = 60_000;

/** keyv's suite opens adapters as it likes and closes none. */
function keyvSuite(open: () => KeyvStoreAdapter): void {
	let opened: KeyvStoreAdapter[] = [];
	afterEach(async () => {
		await Promise.all(opened.map(adapter => adapter.disconnect?.()));
		opened = [];
	});
	const openNext = (): KeyvStoreAdapter => {
		const adapter = open();
		opened.push(adapter);
		return adapter;
	};
	// Its types know another version of vitest.
	keyvTestSuite(vitest as never, Keyv, openNext);
	keyvIteratorTests(vitest as never, Keyv, openNext);
}

describeWith(redisServer, 'Redis', () => {
	let server: Redis;
	let connection: KeyvRedis<unknown>;
	const ending = new AbortController();
	beforeAll(async () => {
		server = await startRedis();
		connection = await openRedis(server.url, {signal: ending.signal});
		// Each adapter listens for itself.
		connection.client.setMaxListeners(0);
	});
	afterAll(async () => {
		ending.abort();
		await server?.close();
	});
	/** As a caller would make it, on one connection for all. */
	const handedIn = (options: object = {}): KeyvRedis<unknown> => {
		const adapter = new KeyvRedis<unknown>(connection.client, {throwOnErrors: true, ...options});
		return Object.assign(adapter, {disconnect: async () => {}});
	};

	describe("keyv's own suite", () => keyvSuite(() => handedIn() as unknown as KeyvStoreAdapter));

	test("an adapter that is handed in has leases and stays the caller's to close", async () => {
		const adapter = new KeyvRedis<unknown>(server.url, {throwOnErrors: true});
		const store = openTokenStore(adapter as unknown as KeyvStoreAdapter);
		expect(store.leases).toBeDefined();
		await expectTokenStore(store);
		await store.close();
		expect(adapter.client.isOpen).toBe(true);
		await adapter.disconnect();
	});

	test('an instance that is handed in keeps its namespace, also for its leases', async () => {
		const [mine, yours] = ['mine', 'yours'].map(namespace =>
			openTokenStore(new Keyv({store: handedIn() as unknown as KeyvStoreAdapter, namespace})),
		) as [ReturnType<typeof openTokenStore>, ReturnType<typeof openTokenStore>];
		await expectTokenStore(mine);
		await mine.set('key', token, minute);
		expect(await yours.get('key')).toBeUndefined();
		expect(await mine.leases?.acquire('key', 'one', minute)).toBe(true);
		expect(await yours.leases?.acquire('key', 'another', minute)).toBe(true);
		expect(await mine.leases?.acquire('key', 'another', minute)).toBe(false);
		expect(await server.run('KEYS', 'mine*')).toContain('mine');
	});
});

describeWith(postgresServer, 'PostgreSQL', () => {
	let server: Postgres;
	beforeAll(async () => {
		server = await startPostgres();
	});
	afterAll(() => server?.close());

	describe("keyv's own suite", () => keyvSuite(() => new PostgresStore(server.url) as KeyvStoreAdapter));

	test("an adapter that is handed in has leases and stays the caller's to close", async () => {
		const adapter = new KeyvPostgres({uri: server.url, table: 'tokens_of_the_caller'});
		const store = openTokenStore(adapter as KeyvStoreAdapter);
		expect(store.leases).toBeDefined();
		await expectTokenStore(store);
		await store.set('key', token, minute);
		await store.close();
		expect(await adapter.query('SELECT 1 AS one')).toEqual([{one: 1}]);
		expect(await server.run('SELECT count(*) FROM tokens_of_the_caller')).toBe('1');
		await adapter.disconnect();
	});
});

describe('what a caller hands in', () => {
	test('may be any adapter: without leases, and comparing before it deletes', async () => {
		const map = new Map<string, unknown>();
		const adapter = {
			opts: {},
			get: async (key: string) => map.get(key),
			set: async (key: string, value: unknown) => void map.set(key, value),
			delete: async (key: string) => map.delete(key),
			clear: async () => map.clear(),
			on: () => adapter,
		} as unknown as KeyvStoreAdapter;
		const store = openTokenStore(adapter);
		expect(store.leases).toBeUndefined();
		await expectTokenStore(store);
	});

	test('may give objects for the texts that it was given', async () => {
		const map = new Map<string, string>();
		const adapter = {
			opts: {},
			get: async (key: string) => (map.has(key) ? JSON.parse(map.get(key) as string) : undefined),
			set: async (key: string, value: string) => void map.set(key, value),
			delete: async (key: string) => map.delete(key),
			clear: async () => map.clear(),
			on: () => adapter,
		} as unknown as KeyvStoreAdapter;
		await expectTokenStore(openTokenStore(adapter));
	});

	test('may keep objects instead of texts', async () => {
		const keyv = new Keyv({serialize: undefined as never, deserialize: undefined as never});
		await expectTokenStore(openTokenStore(keyv));
	});

	test('may compress', async () => {
		const compression = {
			compress: async (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64'),
			decompress: async (value: string) => JSON.parse(Buffer.from(value, 'base64').toString()),
			serialize: JSON.stringify,
			deserialize: JSON.parse,
		};
		await expectTokenStore(openTokenStore(new Keyv({compression: compression as never})));
	});

	test('may fail silently: what it did not keep is an error all the same', async () => {
		const failing = {
			get: async () => undefined,
			set: async () => {
				throw new Error('full');
			},
			delete: async () => false,
			clear: async () => {},
		};
		const keyv = new Keyv({store: failing as unknown as KeyvStoreAdapter, throwOnErrors: false});
		await expect(openTokenStore(keyv).set('key', token, minute)).rejects.toThrow('did not keep');
	});

	test('is closed by nobody else', async () => {
		let closed = 0;
		const keyv = Object.assign(new Keyv(), {disconnect: async () => void closed++});
		await openTokenStore(keyv).close();
		expect(closed).toBe(0);
	});
});

describe('a URL', () => {
	test('opens nothing before the first call', async () => {
		const folder = await mkdtemp(join(tmpdir(), 'gatepass-lazy-'));
		try {
			const file = join(folder, 'sub/tokens.sqlite');
			const store = openTokenStore(`sqlite:${file}`);
			expect(existsSync(file)).toBe(false);
			await store.set('key', token, minute);
			expect(existsSync(file)).toBe(true);
			await store.close();
		} finally {
			await rm(folder, {recursive: true, force: true});
		}
		const unused = openTokenStore('redis://127.0.0.1:1');
		await unused.close();
		await expect(unused.get('key')).rejects.toThrow('closed');
	});

	test.for(['mysql://host/db', 'redis', 'redis://user:the-password@:port', '', 'tokens.sqlite'])(
		'that names no store is refused without repeating it: %s',
		url => {
			expect(() => openTokenStore(url)).toThrow(/names no store that gatepass knows/);
			expect(() => openTokenStore(url)).not.toThrow(/the-password/);
		},
	);

	test.for([
		['redis://127.0.0.1:1', '@keyv/redis'],
		['postgres://127.0.0.1:1/tokens', '@keyv/postgres'],
	] as const)('of a store whose package is not installed says which one: %s', ([url, name]) => {
		const openStore = fileURLToPath(new URL('../../src/tokens/open-store.ts', import.meta.url));
		const script = `
			import {createRequire, registerHooks} from 'node:module';
			// As if it were not there, for import and for require.
			registerHooks({
				resolve: (specifier, context, next) =>
					next(specifier === '${name}' ? '${name}-is-not-here' : specifier, context),
			});
			const {openTokenStore} = await import('${openStore}');
			const store = openTokenStore('${url}');
			console.log(await store.get('key').catch(error => error.name + ': ' + error.message));
		`;
		const {stdout, stderr} = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
			encoding: 'utf8',
		});
		expect(stderr).toBe('');
		expect(stdout.trim()).toBe(
			`TokenCacheError: The token store of 'cache.url' needs the package ${name}, which is not installed. Run 'npm install ${name}'`,
		);
	});
});

/** What every token store does. */
async function expectTokenStore(store: ReturnType<typeof openTokenStore>): Promise<void> {
	await store.set('key', token, minute);
	expect(await store.get('key')).toEqual(token);
	await store.deleteIf('key', newer);
	expect(await store.get('key')).toEqual(token);
	await store.deleteIf('key', token);
	expect(await store.get('key')).toBeUndefined();
	if (store.leases === undefined) return;
	expect(await store.leases.acquire('a lease', 'one', minute)).toBe(true);
	expect(await store.leases.acquire('a lease', 'another', minute)).toBe(false);
	await store.leases.release('a lease', 'one');
	expect(await store.leases.acquire('a lease', 'another', minute)).toBe(true);
	await store.leases.release('a lease', 'another');
}
