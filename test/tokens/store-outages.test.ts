/** Token stores whose server is down, comes back, hangs, is full, may only be read, or speaks TLS. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readFile} from 'node:fs/promises';
import {type AddressInfo, createServer, type Server, type Socket} from 'node:net';
import {Keyv} from 'keyv';
import {afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test} from 'vitest';
import {TokenCacheError} from '../../src/errors.ts';
import type {Token} from '../../src/strategy/services.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import {KeyvTokenStore} from '../../src/tokens/keyv-token-store.ts';
import {LazyTokenStore} from '../../src/tokens/lazy-token-store.ts';
import {openTokenStore} from '../../src/tokens/open-store.ts';
import {openRedis} from '../../src/tokens/stores/redis-store.ts';
import type {TokenStore} from '../../src/tokens/token-store.ts';
import {describeWith} from '../servers/availability.ts';
import {type Postgres, postgresServer, startPostgres} from '../servers/postgres.ts';
import {type Redis, redisServer, startRedis} from '../servers/redis.ts';
import {type BackendKind, postgres, redis, type ServerBackend} from './backends.ts';

const token: Token = {value: 'a-token', type: 'Bearer'};
const minute = 60_000;
/** Milliseconds within which a call has to end, whatever the store does. It has five seconds; a slow machine more. */
const bound = 9000;
/** For a server that says at once that it is not there. */
const promptly = 3000;

let opened: TokenStore[] = [];
const track = <Store extends TokenStore>(store: Store): Store => {
	opened.push(store);
	return store;
};
afterEach(async () => {
	await Promise.all(opened.map(store => store.close()));
	opened = [];
});

/** Every call of a store, none of which may last longer than `within`. */
async function failuresOf(store: TokenStore, within: number): Promise<unknown[]> {
	const began = performance.now();
	const calls = [
		store.get('key'),
		store.set('key', token, minute),
		store.delete('key'),
		store.deleteIf('key', token),
		store.leases?.acquire('key', 'holder', minute),
		store.leases?.release('key', 'holder'),
	];
	const outcomes = await Promise.allSettled(calls);
	expect(performance.now() - began).toBeLessThan(within);
	return outcomes.map(outcome => (outcome.status === 'rejected' ? outcome.reason : undefined));
}

async function untilItWorks(store: TokenStore): Promise<void> {
	await expect
		.poll(() => store.set('key', token, minute).then(() => 'works', String), {timeout: 20_000})
		.toBe('works');
	expect(await store.get('key')).toEqual(token);
	expect(await store.leases?.acquire('key', 'holder', minute)).toBe(true);
	await store.leases?.release('key', 'holder');
}

for (const kind of [redis, postgres] as readonly BackendKind<ServerBackend>[]) {
	describeWith(kind.needs, `${kind.name} that goes away`, () => {
		let backend: ServerBackend;
		beforeAll(async () => {
			backend = await kind.start();
		});
		afterAll(() => backend?.close());

		test('while it is down every call fails at once; when it is back, they work again', async () => {
			const store = track(backend.open());
			await untilItWorks(store);
			for (let outage = 0; outage < 2; outage++) {
				await backend.server.kill();
				for (const failure of await failuresOf(store, promptly)) expect(failure).toBeInstanceOf(Error);
				await backend.server.restart();
				await untilItWorks(store);
			}
		});

		test('it may be down at the first call', async () => {
			await backend.server.kill();
			const store = track(backend.open());
			for (const failure of await failuresOf(store, promptly)) expect(failure).toBeInstanceOf(Error);
			await backend.server.restart();
			await untilItWorks(store);
		});

		test("a connection that breaks between calls is nobody's error", async () => {
			const store = track(backend.open());
			await untilItWorks(store);
			await backend.server.kill();
			await backend.server.restart();
			await untilItWorks(store);
		});

		test('the wrong password is told, and never shown', async () => {
			const url = new URL(backend.source);
			url.password = 'the-wrong-password';
			const store = track(openTokenStore(url.href));
			for (const failure of await failuresOf(store, promptly)) {
				expect(failure).toBeInstanceOf(Error);
				expect(String(failure)).toMatch(/password/i);
				expect(JSON.stringify([String(failure), failure])).not.toContain('the-wrong-password');
			}
		});

		test('after close every call fails, and the server has no connection left', async () => {
			const store = backend.open();
			await untilItWorks(store);
			await store.close();
			await store.close();
			for (const failure of await failuresOf(store, promptly))
				expect(failure).toBeInstanceOf(TokenCacheError);
			await expect.poll(() => connectionsOf(backend.server)).toBe(0);
		});

		test('a process that forgets to close it ends all the same, with all calls done', async () => {
			const openStore = new URL('../../src/tokens/open-store.ts', import.meta.url);
			const script = `
				const {openTokenStore} = await import('${openStore}');
				const store = openTokenStore('${backend.source}');
				await store.set('key of the process', {value: 'a-token', type: 'Bearer'}, 60000);
				await store.leases.acquire('lease of the process', 'it', 60000);
				console.log((await store.get('key of the process')).value);
			`;
			const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
				stdio: ['ignore', 'pipe', 'inherit'],
			});
			onTestFinished(() => void child.kill('SIGKILL'));
			const [[code], output] = await Promise.all([once(child, 'close'), child.stdout.toArray()]);
			expect([code, output.join('')]).toEqual([0, 'a-token\n']);
		});
	});
}

/** How many connections gatepass has. */
async function connectionsOf(server: Redis | Postgres): Promise<number> {
	if ('pause' in server) {
		const clients = (await server.run('CLIENT', 'LIST')).split('\n');
		return clients.filter(client => !client.includes('cmd=client|list')).length;
	}
	return Number(
		await server.run("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gatepass'"),
	);
}

describe('a server that accepts connections and says nothing', () => {
	let server: Server;
	const sockets = new Set<Socket>();
	beforeAll(async () => {
		server = createServer(socket => {
			sockets.add(socket);
			socket.on('error', () => {}).on('close', () => sockets.delete(socket));
			socket.resume();
		});
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	});
	afterAll(async () => {
		for (const socket of sockets) socket.destroy();
		await new Promise(resolve => server.close(resolve));
	});

	test.for(['redis', 'postgres'])('keeps no call to %s waiting for ever, and no connection', async scheme => {
		const {port} = server.address() as AddressInfo;
		const store = track(openTokenStore(`${scheme}://user:password@127.0.0.1:${port}/0`));
		for (const failure of await failuresOf(store, bound)) expect(failure).toBeInstanceOf(Error);
		await store.close();
		await expect.poll(() => sockets.size, {timeout: bound}).toBe(0);
	});
});

describeWith(redisServer, 'Redis in trouble', () => {
	let server: Redis;
	beforeAll(async () => {
		server = await startRedis();
	});
	afterAll(() => server?.close());

	test('one that hangs is let go after a while, and works again when it wakes up', async () => {
		let openings = 0;
		const open = async (signal: AbortSignal): Promise<TokenStore> => {
			openings += 1;
			return new KeyvTokenStore(
				new Keyv({store: await openRedis(server.url, {signal}), useKeyPrefix: false, throwOnErrors: true}),
			);
		};
		const store = track(new LazyTokenStore(open, {patience: 300}));
		await untilItWorks(store);
		server.pause();
		try {
			for (const failure of await failuresOf(store, promptly)) {
				expect(failure).toBeInstanceOf(TokenCacheError);
				expect(String(failure)).toContain('did not answer within 300 ms');
			}
		} finally {
			server.resume();
		}
		await untilItWorks(store);
		expect(openings).toBeGreaterThan(1);
	});

	test('one that is full refuses what is to be kept, and gives what it has', async () => {
		const store = track(openTokenStore(server.url));
		await store.set('key', token, minute);
		await server.run('CONFIG', 'SET', 'maxmemory', '1');
		await expect(store.set('another', token, minute)).rejects.toThrow(/OOM/);
		expect(await store.get('key')).toEqual(token);
		await server.run('CONFIG', 'SET', 'maxmemory', '0');
		await untilItWorks(store);
	});
});

describeWith(postgresServer, 'PostgreSQL in trouble', () => {
	let server: Postgres;
	beforeAll(async () => {
		server = await startPostgres();
	});
	afterAll(() => server?.close());

	test('one that may only be read refuses what is to be kept, and gives what it has', async () => {
		await track(openTokenStore(server.url)).set('key', token, minute);
		await server.run('ALTER DATABASE postgres SET default_transaction_read_only = on');
		const store = track(openTokenStore(server.url));
		expect(await store.get('key')).toEqual(token);
		await expect(store.set('another', token, minute)).rejects.toThrow(/read-only/);
		await server.run('BEGIN READ WRITE; ALTER DATABASE postgres RESET ALL; COMMIT');
		await untilItWorks(track(openTokenStore(server.url)));
	});

	test('a role that may not make tables uses those that are there', async () => {
		await untilItWorks(track(openTokenStore(server.url)));
		await server.run(
			"CREATE ROLE guest LOGIN PASSWORD 'guest'; REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guest",
		);
		const url = new URL(server.url);
		Object.assign(url, {username: 'guest', password: 'guest'});
		await untilItWorks(track(openTokenStore(url.href)));
	});

	test('tokens and leases that have expired are cleared away', async () => {
		const before = track(openTokenStore(server.url));
		await before.set('ended', token, 1);
		await before.set('lasting', token, minute);
		await before.leases?.acquire('ended', 'holder', 1);
		await expect.poll(() => before.get('ended')).toBeUndefined();
		const count = (table: string): Promise<string> => server.run(`SELECT count(*) FROM ${table}`);
		await server.run("DELETE FROM gatepass_tokens WHERE value LIKE '%another%'");
		const tokens = Number(await count('gatepass_tokens'));
		await track(openTokenStore(server.url)).leases?.release('any', 'holder');
		expect(Number(await count('gatepass_tokens'))).toBe(tokens - 1);
		expect(await count('gatepass_leases')).toBe('0');
		expect(await before.get('lasting')).toEqual(token);
	});

	test('many that begin at once on an empty database make its tables but once', async () => {
		await server.clear();
		const stores = Array.from({length: 8}, () => track(openTokenStore(server.url)));
		const taken = await Promise.all(
			stores.map((store, index) => store.leases?.acquire('key', `${index}`, minute)),
		);
		expect(taken.filter(Boolean)).toHaveLength(1);
		await Promise.all(stores.map((store, index) => store.set(`${index}`, token, minute)));
		expect(await server.run('SELECT count(*) FROM gatepass_tokens')).toBe('8');
	});
});

/** A store at `url` works with the CA that the configuration names, and not without. */
async function expectVerified(url: string, authority: TestAuthority): Promise<void> {
	const ca = await readFile(authority.ca, 'utf8');
	await untilItWorks(track(openTokenStore(url, {tls: () => ({ca: [ca]})})));
	for (const failure of await failuresOf(track(openTokenStore(url)), promptly)) {
		expect((failure as Error).message).toMatch(/certificate/);
	}
}

describeWith(redisServer, 'Redis over TLS', () => {
	test('rediss: is verified against the CA of the configuration', async () => {
		const authority = await createTestAuthority();
		const files = await authority.issue('redis', {subject: 'CN=redis', hosts: ['127.0.0.1']});
		const server = await startRedis({tls: {...files, ca: authority.ca}});
		try {
			await expectVerified(server.url, authority);
		} finally {
			await server.close();
			await authority.close();
		}
	});
});

describeWith(postgresServer, 'PostgreSQL over TLS', () => {
	test('sslmode asks for a server that is verified against the CA of the configuration, or of the URL', async () => {
		const authority = await createTestAuthority();
		const tls = await authority.issue('postgres', {subject: 'CN=postgres', hosts: ['127.0.0.1']});
		const server = await startPostgres({tls});
		try {
			await expectVerified(`${server.url}?sslmode=require`, authority);
			await expectVerified(`${server.url}?sslmode=verify-full`, authority);
			await untilItWorks(
				track(openTokenStore(`${server.url}?sslmode=verify-full&sslrootcert=${authority.ca}`)),
			);
		} finally {
			await server.close();
			await authority.close();
		}
	});
});
