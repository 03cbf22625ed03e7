/** Token stores whose server is down, comes back, hangs, is full, may only be read, or speaks TLS. */
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {readFile} from 'node:fs/promises';
import {type AddressInfo, connect, createServer, type Server, type Socket} from 'node:net';
import {afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test} from 'vitest';
import {TokenCacheError} from '../../src/errors.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/authority.ts';
import type {FindTrust} from '../../src/tokens/open-storage.ts';
import type {StorageOpener} from '../../src/tokens/storage.ts';
import {describeWith} from '../servers/availability.ts';
import {type Postgres, postgresServer, startPostgres} from '../servers/postgres.ts';
import {type Redis, redisServer, startRedis} from '../servers/redis.ts';
import {type BackendKind, postgres, redis, type ServerBackend} from './backends.ts';
import {openerOf, RawStore} from './raw-store.ts';

const text = '{"value":"a text"}';
const minute = 60_000;
/** What a call says that was given all its time. Whoever is told at once is told something else. */
const outOfTime = 'did not answer within';

let opened: RawStore[] = [];
const open = (
	source: string | StorageOpener,
	{trust, patience}: {trust?: FindTrust; patience?: number} = {},
) => {
	const store = new RawStore(typeof source === 'string' ? openerOf(source, trust) : source, patience);
	opened.push(store);
	return store;
};
afterEach(async () => {
	await Promise.all(opened.map(store => store.close()));
	opened = [];
});

/** What every call of a store fails with. */
async function failuresOf(store: RawStore): Promise<unknown[]> {
	const calls = [
		store.get('key'),
		store.set('key', text, minute),
		store.delete('key'),
		store.compareAndDelete('key', text),
		store.acquire('lock', 'holder', minute),
		store.release('lock', 'holder'),
	];
	const outcomes = await Promise.allSettled(calls);
	return outcomes.map(outcome => (outcome.status === 'rejected' ? outcome.reason : undefined));
}

/** The same where the server says at once what is wrong, or nobody has to be asked. */
async function promptFailuresOf(store: RawStore): Promise<unknown[]> {
	const failures = await failuresOf(store);
	for (const failure of failures) expect(String(failure)).not.toContain(outOfTime);
	return failures;
}

async function untilItWorks(store: RawStore): Promise<void> {
	await expect.poll(() => store.set('key', text, minute).then(() => 'works', String)).toBe('works');
	expect(await store.get('key')).toBe(text);
	expect(await store.acquire('lock', 'holder', minute)).toBe(true);
	await store.release('lock', 'holder');
}

for (const kind of [redis, postgres] as readonly BackendKind<ServerBackend>[]) {
	describeWith(kind.needs, `${kind.name} that goes away`, () => {
		let backend: ServerBackend;
		beforeAll(async () => {
			backend = await kind.start();
		});
		afterAll(() => backend?.close());

		test('while it is down every call fails at once; when it is back, they work again', async () => {
			const store = open(backend.source);
			await untilItWorks(store);
			for (let outage = 0; outage < 2; outage++) {
				await backend.server.kill();
				for (const failure of await promptFailuresOf(store)) expect(failure).toBeInstanceOf(Error);
				await backend.server.restart();
				await untilItWorks(store);
			}
		});

		test('it may be down at the first call', async () => {
			await backend.server.kill();
			const store = open(backend.source);
			for (const failure of await promptFailuresOf(store)) expect(failure).toBeInstanceOf(Error);
			await backend.server.restart();
			await untilItWorks(store);
		});

		test("a connection that breaks between calls is nobody's error", async () => {
			const store = open(backend.source);
			await untilItWorks(store);
			await backend.server.kill();
			await backend.server.restart();
			await untilItWorks(store);
		});

		test('the wrong password is told, and never shown', async () => {
			const url = new URL(backend.source);
			url.password = 'the-wrong-password';
			const store = open(url.href);
			for (const failure of await promptFailuresOf(store)) {
				expect(failure).toBeInstanceOf(Error);
				expect(String(failure)).toMatch(/password/i);
				expect(JSON.stringify([String(failure), failure])).not.toContain('the-wrong-password');
			}
		});

		test('after close every call fails, and the server has no connection left', async () => {
			const store = open(backend.source);
			await untilItWorks(store);
			await store.close();
			await store.close();
			for (const failure of await promptFailuresOf(store)) expect(failure).toBeInstanceOf(TokenCacheError);
			await expect.poll(() => connectionsOf(backend.server)).toBe(0);
		});

		test('a process that forgets to close it ends all the same, with all calls done', async () => {
			const source = (name: string) => new URL(`../../src/tokens/${name}.ts`, import.meta.url);
			const script = `
				const {openStorage} = await import('${source('open-storage')}');
				const {TokenStore} = await import('${source('token-store')}');
				const store = new TokenStore(openStorage('${backend.source}'));
				await store.set('key of the process', {value: 'a-token', type: 'Bearer'}, 60000);
				await store.lease('key of the process', 'it', 60000);
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
		const store = open(`${scheme}://user:password@127.0.0.1:${port}/0`);
		for (const failure of await failuresOf(store)) expect(failure).toBeInstanceOf(Error);
		await store.close();
		await expect.poll(() => sockets.size).toBe(0);
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
		const opener: StorageOpener = {
			open(signal) {
				openings += 1;
				return openerOf(server.url).open(signal);
			},
		};
		const store = open(opener, {patience: 2000});
		await untilItWorks(store);
		server.pause();
		try {
			for (const failure of await failuresOf(store)) {
				expect(failure).toBeInstanceOf(TokenCacheError);
				expect(String(failure)).toContain(`${outOfTime} 2000 ms`);
			}
		} finally {
			server.resume();
		}
		await untilItWorks(store);
		expect(openings).toBeGreaterThan(1);
	});

	test('one that was the primary until a failover is left for the new one, although its connection lasts', async () => {
		const successor = await startRedis();
		// What leads to the primary, whichever that is: a name, or an address that moves.
		let primary = server.url;
		const sockets = new Set<Socket>();
		const entrance = createServer(socket => {
			const onward = connect(Number(new URL(primary).port), '127.0.0.1');
			for (const end of [socket, onward]) sockets.add(end.on('error', () => {}));
			socket.pipe(onward).pipe(socket);
		});
		await new Promise<void>(resolve => entrance.listen(0, '127.0.0.1', resolve));
		onTestFinished(async () => {
			for (const socket of sockets) socket.destroy();
			entrance.close();
			await server.run('REPLICAOF', 'NO', 'ONE');
			await successor.close();
		});
		const url = new URL(server.url);
		url.port = String((entrance.address() as AddressInfo).port);
		const calls: ((store: RawStore) => Promise<unknown>)[] = [
			store => store.set('key', text, minute),
			store => store.compareAndDelete('key', text),
			store => store.delete('key'),
			store => store.acquire('lock', 'holder', minute),
		];
		for (const call of calls) {
			await server.run('REPLICAOF', 'NO', 'ONE');
			await successor.clear();
			primary = server.url;
			const store = open(url.href);
			await untilItWorks(store);
			await server.run('REPLICAOF', '127.0.0.1', '1');
			primary = successor.url;
			await expect(call(store)).rejects.toThrow(/READONLY/);
			await untilItWorks(store);
			expect(await successor.run('GET', 'key')).toBe(text);
		}
	});

	test('one that is full refuses what is to be kept, and gives what it has', async () => {
		const store = open(server.url);
		await store.set('key', text, minute);
		await server.run('CONFIG', 'SET', 'maxmemory', '1');
		await expect(store.set('another', text, minute)).rejects.toThrow(/OOM/);
		expect(await store.get('key')).toBe(text);
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
		await open(server.url).set('key', text, minute);
		await server.run('ALTER DATABASE postgres SET default_transaction_read_only = on');
		const store = open(server.url);
		expect(await store.get('key')).toBe(text);
		await expect(store.set('another', text, minute)).rejects.toThrow(/read-only/);
		await server.run('BEGIN READ WRITE; ALTER DATABASE postgres RESET ALL; COMMIT');
		await untilItWorks(open(server.url));
	});

	test('a role that may not make tables uses those that are there', async () => {
		await untilItWorks(open(server.url));
		await server.run(
			"CREATE ROLE guest LOGIN PASSWORD 'guest'; REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guest",
		);
		const url = new URL(server.url);
		Object.assign(url, {username: 'guest', password: 'guest'});
		await untilItWorks(open(url.href));
	});

	test('tokens and leases that have expired are cleared away, also while the store is in use', async () => {
		await server.clear();
		const store = open(server.url);
		const count = async (): Promise<number> =>
			Number(await server.run('SELECT count(*) FROM gatepass_entries'));
		await store.set('lasting', text, minute);
		await store.acquire('lock', 'holder', 1);
		for (let number = 0; number < 1200; number++) {
			await store.set(`ended ${number}`, text, 1);
			if (number % 300 === 0) expect(await count()).toBeLessThan(600);
		}
		expect(await store.get('lasting')).toBe(text);
		// Whoever begins removes what others have left.
		await open(server.url).set('another', text, minute);
		await expect.poll(count).toBe(2);
	});

	test('many that begin at once on an empty database make its tables but once', async () => {
		await server.clear();
		const stores = Array.from({length: 8}, () => open(server.url));
		const taken = await Promise.all(stores.map((store, index) => store.acquire('lock', `${index}`, minute)));
		expect(taken.filter(Boolean)).toHaveLength(1);
		await Promise.all(stores.map((store, index) => store.set(`${index}`, text, minute)));
		expect(await server.run('SELECT count(*) FROM gatepass_entries')).toBe('9');
	});
});

/** A store at `url` works with the CA that the configuration names, and not without. */
async function expectVerified(url: string, authority: TestAuthority): Promise<void> {
	const ca = await readFile(authority.ca, 'utf8');
	await untilItWorks(open(url, {trust: () => ({ca: [ca]})}));
	for (const failure of await promptFailuresOf(open(url))) {
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
			await untilItWorks(open(`${server.url}?sslmode=verify-full&sslrootcert=${authority.ca}`));
		} finally {
			await server.close();
			await authority.close();
		}
	});
});
