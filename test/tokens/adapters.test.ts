/** The keyv adapters: keyv's own test suite over those of Redis and PostgreSQL, and adapters and instances that a caller hands in. */
import {spawnSync} from 'node:child_process';
import {EventEmitter} from 'node:events';
import {existsSync} from 'node:fs';
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {KeyvPostgres} from '@keyv/postgres';
import KeyvRedis, {createClient} from '@keyv/redis';
import keyvTestSuite, {keyvIteratorTests} from '@keyv/test-suite';
import {Keyv, type KeyvStoreAdapter} from 'keyv';
import * as vitest from 'vitest';
import {afterAll, afterEach, beforeAll, describe, expect, test} from 'vitest';
import type {Token} from '../../src/strategy/services.ts';
import {openStorage, type StorageSource} from '../../src/tokens/open-storage.ts';
import {PostgresStore} from '../../src/tokens/stores/postgres-store.ts';
import {RedisStore} from '../../src/tokens/stores/redis-store.ts';
import {TokenStore} from '../../src/tokens/token-store.ts';
import {describeWith} from '../servers/availability.ts';
import {type Postgres, postgresServer, startPostgres} from '../servers/postgres.ts';
import {type Redis, redisServer, startRedis} from '../servers/redis.ts';
import {openerOf, RawStore} from './raw-store.ts';

const token: Token = {value: 'a-token', type: 'Bearer'};
const newer: Token = {value: 'a-newer-token', type: 'Bearer'};
const minute = 60_000;

const openStore = (source: StorageSource): TokenStore =>
	new TokenStore(openStorage(source), {
		report(error) {
			throw error;
		},
	});

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
	let client: ReturnType<typeof createClient>;
	beforeAll(async () => {
		server = await startRedis();
		client = createClient({url: server.url});
		// Each adapter listens for itself.
		client.setMaxListeners(0);
		await client.connect();
	});
	afterAll(async () => {
		client?.destroy();
		await server?.close();
	});

	/** All on one connection. */
	const sharing = <Adapter extends object>(adapter: Adapter): Adapter =>
		Object.assign(adapter, {disconnect: async () => {}});
	/** As a caller would make it. */
	const handedIn = (options: object = {}) =>
		sharing(new KeyvRedis<unknown>(client as never, {throwOnErrors: true, ...options}));

	describe("keyv's own suite", () => keyvSuite(() => sharing(new RedisStore(async () => client))));

	describe("keyv's own suite over an adapter of a caller's", () =>
		keyvSuite(() => handedIn() as unknown as KeyvStoreAdapter));

	test("an adapter that is handed in has leases and stays the caller's to close", async () => {
		const adapter = new KeyvRedis<unknown>(server.url, {throwOnErrors: true});
		const store = openStore(adapter as unknown as KeyvStoreAdapter);
		expect(await store.lease('key', 'one', minute)).toHaveProperty('giveBack');
		await expectTokenStore(store);
		await store.close();
		expect(adapter.client.isOpen).toBe(true);
		await adapter.disconnect();
	});

	test('an instance that is handed in keeps its namespace, also for its leases', async () => {
		const [mine, yours] = ['mine', 'yours'].map(namespace =>
			openStore(new Keyv({store: handedIn() as unknown as KeyvStoreAdapter, namespace})),
		) as [TokenStore, TokenStore];
		await expectTokenStore(mine);
		await mine.set('key', token, minute);
		expect(await yours.get('key')).toBeUndefined();
		expect(await mine.lease('key', 'one', minute)).toHaveProperty('giveBack');
		expect(await yours.lease('key', 'another', minute)).toHaveProperty('giveBack');
		expect(await mine.lease('key', 'another', minute)).toBe('held');
		expect(await server.run('KEYS', 'mine*')).toContain('mine');
	});
});

describeWith(postgresServer, 'PostgreSQL', () => {
	let server: Postgres;
	beforeAll(async () => {
		server = await startPostgres();
	});
	afterAll(() => server?.close());

	let connections: KeyvPostgres;
	beforeAll(async () => {
		connections = new KeyvPostgres({uri: server.url, table: 'tokens_of_the_caller'});
	});
	afterAll(() => connections?.disconnect());

	describe("keyv's own suite", () => keyvSuite(() => new PostgresStore(connections.query)));

	test("an adapter that is handed in has leases and stays the caller's to close", async () => {
		const adapter = connections;
		const store = openStore(adapter as KeyvStoreAdapter);
		expect(await store.lease('key', 'one', minute)).toHaveProperty('giveBack');
		await expectTokenStore(store);
		await store.set('key', token, minute);
		await store.close();
		expect(await adapter.query('SELECT 1 AS one')).toEqual([{one: 1}]);
		expect(await server.run('SELECT count(*) FROM tokens_of_the_caller')).toBe('1');
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
		const store = openStore(adapter);
		expect(await store.lease('key', 'one', minute)).toBeUndefined();
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
		await expectTokenStore(openStore(adapter));
	});

	test('may keep objects instead of texts', async () => {
		const keyv = new Keyv({serialize: undefined as never, deserialize: undefined as never});
		await expectTokenStore(openStore(keyv));
	});

	test('may compress', async () => {
		const compression = {
			compress: async (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64'),
			decompress: async (value: string) => JSON.parse(Buffer.from(value, 'base64').toString()),
			serialize: JSON.stringify,
			deserialize: JSON.parse,
		};
		await expectTokenStore(openStore(new Keyv({compression: compression as never})));
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
		const storage = await openerOf(keyv).open(new AbortController().signal);
		await expect(storage.set('name', '{"value":1}', minute)).rejects.toThrow('full');
		failing.set = async () => false as never;
		await expect(storage.set('name', '{"value":1}', minute)).rejects.toThrow('did not keep');
	});

	test('may keep to itself that it failed, as adapters do that tell by an event: it is an error all the same', async () => {
		const adapter = Object.assign(new EventEmitter(), {
			opts: {},
			get: async () => void adapter.emit('error', new Error('out of reach')),
			set: async () => void adapter.emit('error', new Error('out of reach')),
			delete: async () => !adapter.emit('error', new Error('out of reach')),
			clear: async () => {},
		});
		const keyv = new Keyv({store: adapter as unknown as KeyvStoreAdapter});
		const storage = await openerOf(keyv).open(new AbortController().signal);
		await expect(storage.get('name')).rejects.toThrow('out of reach');
		await expect(storage.set('name', '{"value":1}', minute)).rejects.toThrow('out of reach');
		await expect(storage.delete('name')).rejects.toThrow('out of reach');
		const reports: string[] = [];
		const store = new TokenStore(openStorage(keyv), {report: ({cause}) => reports.push(String(cause))});
		await expect(store.delete('key')).rejects.toThrow('may still be there');
		expect(await store.get('key')).toBeUndefined();
		expect(reports).toEqual(['Error: out of reach']);
	});

	test('has to be one', () => {
		for (const wrong of [{}, {get: () => {}}, 5, null]) {
			expect(() => openStorage(wrong as never)).toThrow(/no keyv adapter or instance.*no method/);
		}
	});

	test('is closed by nobody else', async () => {
		let closed = 0;
		const keyv = Object.assign(new Keyv(), {disconnect: async () => void closed++});
		await openStore(keyv).close();
		expect(closed).toBe(0);
	});
});

describe('a URL', () => {
	test('opens nothing before the first call', async () => {
		const folder = await mkdtemp(join(tmpdir(), 'gatepass-lazy-'));
		try {
			const file = join(folder, 'sub/tokens.sqlite');
			const store = openStore(`sqlite:${file}`);
			expect(existsSync(file)).toBe(false);
			await store.set('key', token, minute);
			expect(existsSync(file)).toBe(true);
			await store.close();
		} finally {
			await rm(folder, {recursive: true, force: true});
		}
		const unused = new RawStore(openerOf('redis://127.0.0.1:1'));
		await unused.close();
		await expect(unused.get('key')).rejects.toThrow('closed');
	});

	test.for(['mysql://host/db', 'redis', 'redis://user:the-password@:port', '', 'tokens.sqlite'])(
		'that names no store is refused without repeating it: %s',
		url => {
			expect(() => openStorage(url)).toThrow(/names no store that gatepass knows/);
			expect(() => openStorage(url)).not.toThrow(/the-password/);
		},
	);

	test.for([
		['redis://127.0.0.1:1', '@keyv/redis'],
		['postgres://127.0.0.1:1/tokens', '@keyv/postgres'],
	] as const)('of a store whose package is not installed says which one: %s', ([url, name]) => {
		const module = fileURLToPath(new URL('../../src/tokens/open-storage.ts', import.meta.url));
		const script = `
			import {createRequire, registerHooks} from 'node:module';
			// As if it were not there, for import and for require.
			registerHooks({
				resolve: (specifier, context, next) =>
					next(specifier === '${name}' ? '${name}-is-not-here' : specifier, context),
			});
			const {openStorage} = await import('${module}');
			const opener = openStorage('${url}');
			const storage = opener.open(new AbortController().signal);
			console.log(await storage.catch(error => error.name + ': ' + error.message));
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
async function expectTokenStore(store: TokenStore): Promise<void> {
	await store.set('key', token, minute);
	expect(await store.get('key')).toEqual(token);
	await store.deleteIf('key', newer);
	expect(await store.get('key')).toEqual(token);
	await store.deleteIf('key', token);
	expect(await store.get('key')).toBeUndefined();
	const lease = await store.lease('a lease', 'one', minute);
	if (lease === undefined || lease === 'held') return;
	expect(await store.lease('a lease', 'another', minute)).toBe('held');
	await lease.giveBack();
	expect(await store.lease('a lease', 'another', minute)).toHaveProperty('giveBack');
}
