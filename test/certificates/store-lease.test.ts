/** Machines whose folder is one, whose file system does not keep them apart, and who share a token store. */
import {randomBytes} from 'node:crypto';
import {cp, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {describe, expect, onTestFinished, test, vi} from 'vitest';
import {CertificateManager} from '../../src/certificates/manager.ts';
import type {CertificateEvent} from '../../src/certificates/parts.ts';
import {makeAuthenticator, makeInstaller} from '../../src/certificates/plug-ins.ts';
import {leaseFolder} from '../../src/certificates/store-lease.ts';
import {defaultSettings} from '../../src/config/certificate-settings.ts';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import {withLock} from '../../src/lineages/certbot/lock.ts';
import {openStorage} from '../../src/tokens/open-storage.ts';
import {PersistentTokenCache} from '../../src/tokens/token-cache.ts';
import {pebbleFor} from '../issuers/acme/stage.ts';
import {describeWith, type RealServer} from '../servers/availability.ts';
import {pebble} from '../servers/pebble.ts';
import {postgresServer, startPostgres} from '../servers/postgres.ts';
import {redisServer, startRedis} from '../servers/redis.ts';
import {managerAt} from './stage.ts';

interface Store {
	readonly url: string;
	kill(): Promise<void>;
	close(): Promise<void>;
}

const lost = (): Error => new Error('lost');

/** A folder, and what another machine sees of it whose file system is out of touch: the same files, and no locks. */
async function twoFolders(): Promise<readonly [string, string]> {
	const place = await mkdtemp(join(tmpdir(), 'gatepass-lease-'));
	onTestFinished(() => rm(place, {recursive: true, force: true}));
	const [one, two] = [join(place, 'one'), join(place, 'two')];
	const gatepass = await gatepassAt(one, 'memory:');
	await expect(gatepass.certificates.delete('nothing')).rejects.toThrow(/There is no certificate/);
	// What makes it known as the same folder is there after its first use with a store.
	await leaseFolder(one, async () => undefined, {patience: 1, interval: 1}, lost);
	await cp(one, two, {recursive: true});
	return [one, two];
}

async function gatepassAt(folder: string, url: string): Promise<Gatepass> {
	const gatepass = await createGatepass({
		config: {
			cache: {url, ...(url !== 'memory:' && {encryptionKey: randomBytes(32).toString('base64')})},
			certificates: {folder, server: 'https://ca.example.test/directory'},
		},
		env: {},
	});
	onTestFinished(() => gatepass.close());
	return gatepass;
}

/** A machine with its own connection to the store. */
function lockAt(folder: string, url: string) {
	const cache = new PersistentTokenCache(openStorage(url));
	onTestFinished(() => cache.close());
	return (work: (lost: AbortSignal) => Promise<void>, rhythm = {patience: 60_000, interval: 15_000}) =>
		withLock(folder, work, {
			lease: (beat, reason) => leaseFolder(folder, (...wanted) => cache.lease(...wanted), beat, reason),
			rhythm,
		});
}

const stores: [RealServer, () => Promise<Store>][] = [
	[redisServer, startRedis],
	[postgresServer, startPostgres],
];

for (const [server, start] of stores) {
	describeWith(server, server.name, () => {
		async function startStore(): Promise<Store> {
			const store = await start();
			onTestFinished(() => store.close());
			return store;
		}

		test('one at a time changes the folder', async () => {
			const [store, [here, there]] = [await startStore(), await twoFolders()];
			const other = await gatepassAt(there, store.url);
			const remove = () => other.certificates.delete('nothing');
			await lockAt(
				here,
				store.url,
			)(async () => {
				await expect(remove()).rejects.toThrow(
					`Another program is changing ${there}: certbot, or another gatepass on another machine`,
				);
			});
			await expect(remove()).rejects.toThrow(/There is no certificate/);
			// And given back: nobody waits for its end.
			await lockAt(here, store.url)(async () => {});
		});

		test('a folder of the same name that is another is not kept waiting', async () => {
			const [store, [here], [elsewhere]] = [await startStore(), await twoFolders(), await twoFolders()];
			let wasReached = false;
			await lockAt(
				here,
				store.url,
			)(() =>
				lockAt(
					elsewhere,
					store.url,
				)(async () => {
					wasReached = true;
				}),
			);
			expect(wasReached).toBe(true);
		});

		test('it is kept up for as long as the work takes', async () => {
			const [store, [here, there]] = [await startStore(), await twoFolders()];
			let asked = 0;
			const cache = new PersistentTokenCache(openStorage(store.url));
			onTestFinished(() => cache.close());
			const lease = await leaseFolder(
				here,
				async (...wanted) => {
					asked += 1;
					return cache.lease(...wanted);
				},
				{patience: 4000, interval: 400},
				lost,
			);
			if (lease === undefined || lease === 'held') throw new Error('no lease');
			// Longer than one lease is.
			await expect.poll(() => asked).toBeGreaterThan(12);
			await expect(lockAt(there, store.url)(async () => {})).rejects.toThrow(/Another program is changing/);
			expect(lease.lost.aborted).toBe(false);
			await lease.release();
			await lockAt(there, store.url)(async () => {});
		});

		test('a store that is down keeps nobody from renewing', async () => {
			const [store, [here]] = [await startStore(), await twoFolders()];
			await store.kill();
			const gatepass = await gatepassAt(here, store.url);
			await expect(gatepass.certificates.delete('nothing')).rejects.toThrow(/There is no certificate/);
		});
	});
}

describe('a lease', () => {
	test('that somebody else has by now is lost, and not given back', async () => {
		const [here] = await twoFolders();
		let [isHeld, given] = [false, 0];
		const giveBack = async (): Promise<void> => {
			given += 1;
		};
		const lease = await leaseFolder(
			here,
			async () => (isHeld ? 'held' : {giveBack}),
			{patience: 1000, interval: 5},
			lost,
		);
		if (lease === undefined || lease === 'held') throw new Error('no lease');
		isHeld = true;
		await expect.poll(() => lease.lost.aborted).toBe(true);
		expect(lease.lost.reason).toMatchObject({message: 'lost'});
		await lease.release();
		expect(given).toBe(0);
	});
});

test('a service looks again within a minute where another machine was at the folder', async () => {
	const [here] = await twoFolders();
	vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']});
	onTestFinished(() => void vi.useRealTimers());
	const told: CertificateEvent[] = [];
	const manager = new CertificateManager({
		settings: {...defaultSettings, folder: here},
		connect: () => {
			throw new Error('no server is to be asked');
		},
		makeAuthenticator,
		makeInstaller,
		report: event => told.push(event),
	});
	const held = {id: 'x', host: 'node-7', pid: 1};
	await writeFile(join(here, '.gatepass.lock'), JSON.stringify(held));
	const renewing = manager.autoRenew();
	onTestFinished(() => renewing.stop());
	for (const looks of [1, 2]) {
		await expect.poll(() => [told.length, vi.getTimerCount() > 0]).toEqual([looks, true]);
		expect(told.at(-1)?.detail).toContain('another gatepass on node-7');
		if (looks === 1) await vi.advanceTimersByTimeAsync(60_000);
	}
});

describeWith(pebble, 'a machine that loses the lock', () => {
	test('ends what it was at, takes its answers to challenges away, and says so', async () => {
		const server = await pebbleFor({nonceReject: 0});
		vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout']});
		onTestFinished(() => void vi.useRealTimers());
		const {parts, manager} = await managerAt(server);
		let isHeld = false;
		parts.lease = async () => (isHeld ? 'held' : {giveBack: async () => {}});
		const answering = Promise.withResolvers<void>();
		let cleaned = 0;
		parts.makeAuthenticator = () => ({
			name: 'slow',
			challenges: ['http-01'],
			perform: async ({signal}) => {
				answering.resolve();
				await new Promise(resolve => signal?.addEventListener('abort', resolve));
				return async () => {
					cleaned += 1;
				};
			},
		});
		const enrolling = manager.enroll(['a.example.test']);
		const refused = expect(enrolling).rejects.toMatchObject({
			message: expect.stringContaining('This machine gave no sign of life for so long'),
			diagnostics: [{code: 'lineage-locked'}],
		});
		await answering.promise;
		isHeld = true;
		await vi.advanceTimersByTimeAsync(15_000);
		await refused;
		expect(cleaned).toBe(1);
		expect(await manager.list()).toEqual([]);
	});
});
