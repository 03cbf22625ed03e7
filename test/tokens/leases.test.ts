/** Leases between processes: who holds one, who is killed or paused with it, and what a store that goes away does. */
import {DatabaseSync} from 'node:sqlite';
import {afterAll, afterEach, beforeAll, beforeEach, expect, test} from 'vitest';
import {describeWith} from '../servers/availability.ts';
import {type Backend, type BackendKind, postgres, redis, type ServerBackend, sqlite} from './backends.ts';
import {LeaseProcess} from './lease-processes.ts';
import {openerOf, RawStore} from './raw-store.ts';

const minute = 60_000;
/** Milliseconds. Short, so that the tests need not wait for long; long enough to act before its end. */
const short = 700;
/** Milliseconds by which two clocks may round differently. */
const rounding = 20;

type SharedBackend = Backend & {readonly source: string};
const kinds: readonly BackendKind<SharedBackend>[] = [sqlite, redis, postgres];

for (const kind of kinds) describeWith(kind.needs, `leases over ${kind.name}`, () => leaseTests(kind));

for (const kind of [redis, postgres] as readonly BackendKind<ServerBackend>[]) {
	describeWith(kind.needs, `leases over ${kind.name}, on a server`, () => serverTests(kind));
}

/** Processes that end with the test. */
function startsProcesses(
	backend: () => SharedBackend,
): typeof LeaseProcess.start extends (url: string, ...rest: infer Rest) => infer Result
	? (...rest: Rest) => Result
	: never {
	let processes: LeaseProcess[] = [];
	afterEach(async () => {
		await Promise.all(processes.map(process => process.kill()));
		processes = [];
	});
	return async settings => {
		const process = await LeaseProcess.start(backend().source, settings);
		processes.push(process);
		return process;
	};
}

function leaseTests({start}: BackendKind<SharedBackend>): void {
	let backend: SharedBackend;
	let leases: RawStore;
	const startProcess = startsProcesses(() => backend);

	beforeAll(async () => {
		backend = await start();
	});
	beforeEach(async () => {
		leases = new RawStore(openerOf(backend.source));
		await leases.acquire('makes the table', 'test', 1);
	});
	afterEach(async () => {
		await leases.close();
		await backend.clear();
	});
	afterAll(() => backend?.close());

	test('one has it, for each key', async () => {
		expect(await leases.acquire('key', 'one', minute)).toBe(true);
		expect(await leases.acquire('key', 'another', minute)).toBe(false);
		expect(await leases.acquire('another key', 'another', minute)).toBe(true);
	});

	test('who has it gets it again, for longer', async () => {
		expect(await leases.acquire('key', 'one', 1)).toBe(true);
		expect(await leases.acquire('key', 'one', minute)).toBe(true);
		await expect.poll(() => leases.acquire('probe', 'probe', 1), {interval: 20}).toBe(true);
		expect(await leases.acquire('key', 'another', minute)).toBe(false);
	});

	test('only its holder gives it back', async () => {
		await leases.acquire('key', 'one', minute);
		await leases.release('key', 'another');
		expect(await leases.acquire('key', 'another', minute)).toBe(false);
		await leases.release('key', 'one');
		expect(await leases.acquire('key', 'another', minute)).toBe(true);
		await leases.release('nobody has taken this', 'one');
	});

	test('it has nothing to do with the token of its key', async () => {
		const store = backend.open();
		await store.set('key', {value: 'a-token', type: 'Bearer'}, minute);
		expect(await store.lease('key', 'one', minute)).toHaveProperty('giveBack');
		expect((await store.get('key'))?.value).toBe('a-token');
		await store.delete('key');
		expect(await store.lease('key', 'another', minute)).toBe('held');
		await store.close();
	});

	test('it ends after its time, not before', async () => {
		const began = performance.now();
		expect(await leases.acquire('key', 'one', 200.5)).toBe(true);
		await expect.poll(() => leases.acquire('key', 'another', minute), {interval: 10}).toBe(true);
		expect(performance.now() - began).toBeGreaterThanOrEqual(200 - rounding);
		await leases.release('key', 'one');
		expect(await leases.acquire('key', 'a third', minute)).toBe(false);
	});

	test('of many processes that contend, exactly one has it', async () => {
		const processes = await Promise.all(Array.from({length: 4}, () => startProcess()));
		const keys = Array.from({length: 25}, (_, index) => `key ${index}`);
		const outcomes = await Promise.all(
			keys.map(key => Promise.all(processes.map(process => process.acquire(key, minute)))),
		);
		for (const outcome of outcomes) expect(outcome.filter(Boolean)).toHaveLength(1);
	});

	test('a holder that is killed keeps others waiting for its time, and no longer', async () => {
		const [holder, other] = await Promise.all([startProcess(), startProcess()]);
		const began = performance.now();
		expect(await holder.acquire('key', short)).toBe(true);
		await holder.kill();
		await expect.poll(() => other.acquire('key', minute), {interval: 10}).toBe(true);
		expect(performance.now() - began).toBeGreaterThanOrEqual(short - rounding);
	});

	test('a holder that was paused past its time does not free the lease of its successor', async () => {
		const [holder, successor, third] = await Promise.all([startProcess(), startProcess(), startProcess()]);
		expect(await holder.acquire('key', short)).toBe(true);
		holder.pause();
		await expect.poll(() => successor.acquire('key', minute), {interval: 10}).toBe(true);
		// It is asked while it stands still, and does it as soon as it can.
		const released = holder.release('key');
		holder.resume();
		await released;
		expect(await third.acquire('key', minute)).toBe(false);
		expect(await holder.acquire('key', minute)).toBe(false);
		await successor.release('key');
		expect(await third.acquire('key', minute)).toBe(true);
	});

	test('a holder that was paused within its time still has it', async () => {
		const [holder, other] = await Promise.all([startProcess(), startProcess()]);
		expect(await holder.acquire('key', minute)).toBe(true);
		holder.pause();
		expect(await other.acquire('key', minute)).toBe(false);
		const released = holder.release('key');
		holder.resume();
		await released;
		expect(await other.acquire('key', minute)).toBe(true);
	});
}

function serverTests({start}: BackendKind<ServerBackend>): void {
	let backend: ServerBackend;
	const startProcess = startsProcesses(() => backend);

	beforeAll(async () => {
		backend = await start();
	});
	afterAll(() => backend?.close());

	test("the server's clock judges: a process whose own is an hour ahead takes nothing before its time", async () => {
		const [holder, hasty] = await Promise.all([startProcess(), startProcess({clockAhead: 3_600_000})]);
		expect(await holder.acquire('key', minute)).toBe(true);
		expect(await hasty.acquire('key', minute)).toBe(false);
		await holder.release('key');
		expect(await hasty.acquire('key', short)).toBe(true);
		await expect.poll(() => holder.acquire('key', minute), {interval: 10}).toBe(true);
	});

	test('while the server is down, nobody waits and nobody dies; when it is back, leases are', async () => {
		const processes = await Promise.all([startProcess(), startProcess()]);
		const [one, another] = processes as [LeaseProcess, LeaseProcess];
		expect(await one.acquire('before', minute)).toBe(true);
		await backend.server.kill();
		for (const process of processes) {
			// Another reason than that the store was given all its time.
			const atOnce = /^(?!.*did not answer within)/s;
			await expect(process.acquire('during', minute)).rejects.toThrow(atOnce);
			await expect(process.release('before')).rejects.toThrow(atOnce);
		}
		await backend.server.restart();
		for (const [index, process] of processes.entries()) {
			await expect.poll(() => process.acquire(`after ${index}`, minute).catch(String)).toBe(true);
			expect(process.process.exitCode).toBeNull();
		}
		expect(await another.acquire('after 0', minute)).toBe(false);
	});
}

test('a lease in sqlite that was taken in the future is void: the clock was set back', async () => {
	const backend = await sqlite.start();
	const store = new RawStore(openerOf(backend.source));
	try {
		expect(await store.acquire('key', 'one', minute)).toBe(true);
		expect(await store.acquire('key', 'another', minute)).toBe(false);
		const takeLater = (milliseconds: number): void => {
			const database = new DatabaseSync(backend.source.slice('sqlite:'.length));
			database
				.prepare('UPDATE gatepass_entries SET kept = kept + ?1, expires = expires + ?1')
				.run(milliseconds);
			database.close();
		};
		// A little later: the other looked at the clock, and this one was quicker to write.
		takeLater(30_000);
		expect(await store.acquire('key', 'another', minute)).toBe(false);
		takeLater(3_600_000);
		expect(await store.acquire('key', 'another', minute)).toBe(true);
	} finally {
		await store.close();
		await backend.close();
	}
});
