/** What the token stores are tested over: each kind, with a way to look at what it keeps and to spoil it. */
import {mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {Keyv, type KeyvStoreAdapter} from 'keyv';
import {openStorage, type StorageSource} from '../../src/tokens/open-storage.ts';
import {TokenStore, type TokenStoreSettings} from '../../src/tokens/token-store.ts';
import type {RealServer} from '../servers/availability.ts';
import {type Postgres, postgresServer, startPostgres} from '../servers/postgres.ts';
import {type Redis, redisServer, startRedis} from '../servers/redis.ts';
import {openerOf} from './raw-store.ts';

/** A place for tokens that several stores can be opened on. */
export interface Backend {
	readonly source: StorageSource;
	open(settings?: TokenStoreSettings): TokenStore;
	/** A keyv on the same place, as a user would open it. */
	keyv(): Promise<Keyv>;
	/** All that is kept, raw: text by name. */
	entries(): Promise<Map<string, string>>;
	/** Put a raw text in the place of another. */
	put(name: string, text: string): Promise<void>;
	/** Forget everything. */
	clear(): Promise<void>;
	close(): Promise<void>;
}

/** A backend whose server can go away. */
export interface ServerBackend extends Backend {
	readonly source: string;
	readonly server: Redis | Postgres;
}

export interface BackendKind<Kind extends Backend = Backend> {
	readonly name: string;
	readonly needs: readonly RealServer[];
	start(): Promise<Kind>;
}

const memory: BackendKind = {
	name: 'memory',
	needs: [],
	async start() {
		const source = new Map<string, unknown>();
		return {
			source,
			open: settings => new TokenStore(openStorage(source), settings),
			keyv: async () => new Keyv({store: source, namespace: 'gatepass'}),
			entries: async () => new Map(source as Map<string, string>),
			put: async (name, text) => void source.set(name, text),
			clear: async () => source.clear(),
			close: async () => {},
		};
	},
};

export const sqlite: BackendKind<Backend & {readonly source: string}> = {
	name: 'sqlite',
	needs: [],
	async start() {
		const folder = await mkdtemp(join(tmpdir(), 'gatepass-sqlite-'));
		const file = join(folder, 'tokens.sqlite');
		const source = `sqlite:${file}`;
		const using = async <Result>(use: (database: DatabaseSync) => Result): Promise<Result> => {
			const database = new DatabaseSync(file);
			try {
				return use(database);
			} finally {
				database.close();
			}
		};
		return {
			source,
			open: settings => new TokenStore(openStorage(source), settings),
			keyv: () => keyvOn(source),
			entries: () =>
				using(database => {
					const rows = database.prepare('SELECT key, value FROM gatepass_entries').all();
					return new Map(rows.map(({key, value}) => [String(key), String(value)]));
				}),
			put: (name, text) =>
				using(database => {
					database.prepare('UPDATE gatepass_entries SET value = ? WHERE key = ?').run(text, name);
				}),
			clear: () => using(database => database.exec('DELETE FROM gatepass_entries')),
			close: () => rm(folder, {recursive: true, force: true}),
		};
	},
};

export const redis: BackendKind<ServerBackend & {readonly server: Redis}> = {
	name: 'Redis',
	needs: [redisServer],
	async start() {
		const server = await startRedis();
		return {
			server,
			source: server.url,
			open: settings => new TokenStore(openStorage(server.url), settings),
			keyv: () => keyvOn(server.url),
			async entries() {
				const names = (await server.run('KEYS', 'gatepass:*')).split('\n').filter(name => name !== '');
				return new Map(
					await Promise.all(names.map(async name => [name, await server.run('GET', name)] as const)),
				);
			},
			put: async (name, text) => void (await server.run('SET', name, text)),
			clear: () => server.clear(),
			close: () => server.close(),
		};
	},
};

export const postgres: BackendKind<ServerBackend & {readonly server: Postgres}> = {
	name: 'PostgreSQL',
	needs: [postgresServer],
	async start() {
		const server = await startPostgres();
		return {
			server,
			source: server.url,
			open: settings => new TokenStore(openStorage(server.url), settings),
			keyv: () => keyvOn(server.url),
			async entries() {
				const rows = await server.run('SELECT json_build_array(key, value) FROM gatepass_entries');
				const lines = rows.split('\n').filter(line => line !== '');
				return new Map(lines.map(line => JSON.parse(line) as [string, string]));
			},
			put: async (name, text) =>
				void (await server.run(
					`UPDATE gatepass_entries SET value = ${quote(text)} WHERE key = ${quote(name)}`,
				)),
			clear: async () => void (await server.run('DELETE FROM gatepass_entries')),
			close: () => server.close(),
		};
	},
};

export const backends: readonly BackendKind[] = [memory, sqlite, redis, postgres];

/** Over the adapter that gatepass itself opens for a URL. */
async function keyvOn(url: string): Promise<Keyv> {
	const adapter = await openerOf(url).open(new AbortController().signal);
	return new Keyv({store: adapter as unknown as KeyvStoreAdapter, namespace: 'gatepass'});
}

function quote(text: string): string {
	return `'${text.replaceAll("'", "''")}'`;
}
