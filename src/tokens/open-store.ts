/** From what the configuration names, or a caller hands in, to a token store. */
import type {KeyObject} from 'node:crypto';
import {Keyv, type KeyvStoreAdapter} from 'keyv';
import {missingPackageOf, readStoreUrl, type StoreKind} from '../config/store-url.ts';
import {TokenCacheError} from '../errors.ts';
import {Sealer} from './encryption.ts';
import {KeyvTokenStore, type KeyvTokenStoreSettings} from './keyv-token-store.ts';
import {LazyTokenStore, type OpenStore} from './lazy-token-store.ts';
import type {ServerTrust} from './stores/server-trust.ts';
import type {TokenStore} from './token-store.ts';

/** What a token store can be made of: a URL, or a keyv adapter or instance of the caller's. */
export type StoreSource = string | KeyvStoreAdapter | Map<string, unknown> | Keyv;

export interface TokenStoreSettings {
	/** The first encrypts, all decrypt. None: tokens are kept as they are. */
	readonly keys?: readonly KeyObject[] | undefined;
	/** What verifies the server of a URL that asks for TLS. Asked for when it connects. Absent: the system's CA certificates. */
	readonly tls?: (() => ServerTrust | undefined) | undefined;
	/** Called when an entry cannot be used, and why. */
	readonly onGarbage?: ((error: TokenCacheError) => void) | undefined;
}

/** Open a token store. Nothing is loaded, opened or connected before the first call. */
export function openTokenStore(
	source: StoreSource,
	{keys, tls, onGarbage}: TokenStoreSettings = {},
): TokenStore {
	const [first, ...others] = keys ?? [];
	const sealer = first && new Sealer([first, ...others]);
	const settings: KeyvTokenStoreSettings = {sealer, onGarbage};
	if (isKeyv(source)) return new KeyvTokenStore(source, settings);
	if (typeof source !== 'string') return new KeyvTokenStore(keyvOver(source), settings);
	const read = readStoreUrl(source);
	if (read === undefined) {
		// Not repeated: a URL of a store may hold a password.
		throw new TokenCacheError(
			"'cache.url' names no store that gatepass knows, or cannot be read. Write sqlite:FILE, memory:, redis://HOST or postgres://HOST/DATABASE, with user and password percent-encoded",
		);
	}
	const {kind, url} = read;
	if (kind === 'memory') return nowhere;
	return new LazyTokenStore(openers[kind](url, settings, tls), {load: drivers[kind]});
}

/** `memory:`. The token cache has all tokens in memory anyway. */
const nowhere: TokenStore = {
	get: async () => undefined,
	set: async () => {},
	delete: async () => {},
	deleteIf: async () => {},
	close: async () => {},
};

type PersistentKind = Exclude<StoreKind, 'memory'>;

const drivers = {
	sqlite: () => import('./stores/sqlite-store.ts'),
	redis: () => needing('redis', () => import('./stores/redis-store.ts')),
	postgres: () => needing('postgres', () => import('./stores/postgres-store.ts')),
} satisfies Record<PersistentKind, () => Promise<unknown>>;

type Opener = (url: string, settings: KeyvTokenStoreSettings, tls: TokenStoreSettings['tls']) => OpenStore;

const openers: Readonly<Record<PersistentKind, Opener>> = {
	sqlite: (url, settings) => async () => {
		const {SqliteStore} = await drivers.sqlite();
		const adapter = new SqliteStore(url.slice('sqlite:'.length));
		return new KeyvTokenStore(keyvOver(adapter), {...settings, disconnect: () => void adapter.disconnect()});
	},
	redis: (url, settings, tls) => async signal => {
		const {openRedis} = await drivers.redis();
		const adapter = await openRedis(url, {trust: tls?.(), signal});
		// The adapter has prefixes of its own. The signal ends the connection.
		return new KeyvTokenStore(keyvOver(adapter, {useKeyPrefix: false}), settings);
	},
	postgres: (url, settings, tls) => async () => {
		const {PostgresStore} = await drivers.postgres();
		const adapter = new PostgresStore(url, tls?.());
		const disconnect = (): void => void adapter.disconnect().catch(() => {});
		const store = new KeyvTokenStore(keyvOver(adapter), {...settings, disconnect});
		try {
			// Connects, and makes the tables where they are missing; a server that can only be read is of use, too.
			await adapter.query('SELECT 1');
			await store.leases?.release('', '').catch(() => {});
			return store;
		} catch (error) {
			disconnect();
			throw error;
		}
	},
};

async function needing<Module>(kind: StoreKind, load: () => Promise<Module>): Promise<Module> {
	try {
		return await load();
	} catch (error) {
		const name = missingPackageOf(kind);
		if (name === undefined) throw error;
		throw new TokenCacheError(
			`The token store of 'cache.url' needs the package ${name}, which is not installed. Run 'npm install ${name}'`,
			{cause: error},
		);
	}
}

/** keyv over an adapter. keyv gives the adapter its namespace, so one that a caller has chosen is kept. */
function keyvOver(adapter: KeyvStoreAdapter | Map<string, unknown>, {useKeyPrefix = true} = {}): Keyv {
	const store = adapter as KeyvStoreAdapter;
	return new Keyv({store, namespace: store.namespace || 'gatepass', useKeyPrefix, throwOnErrors: true});
}

/** By its shape: a caller may hand in one of another copy of keyv. */
function isKeyv(source: unknown): source is Keyv {
	return typeof (source as Partial<Keyv>).deserializeData === 'function';
}
