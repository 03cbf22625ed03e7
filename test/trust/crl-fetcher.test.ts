/** When a revocation list is fetched again, with a clock of the test's own. */
import type {X509Certificate} from 'node:crypto';
import {mkdtemp, readdir, rm, stat, utimes} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, beforeAll, beforeEach, expect, test, vi} from 'vitest';
import {CrlFetcher} from '../../src/trust/crl-fetcher.ts';
import {ListCache} from '../../src/trust/list-cache.ts';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {createPki, type Holder, type Pki} from './pki.ts';

const minute = 60_000;
const hour = 60 * minute;
const noon = Date.UTC(2040, 0, 1, 12);
const urls = ['http://ca.example.org/ca.crl'];

let pki: Pki;
let ca: Holder;
let issuer: X509Certificate;

beforeAll(async () => {
	pki = await createPki();
	ca = await pki.authority('ca', '/CN=ca');
	issuer = await ca.read();
});
afterAll(() => pki?.close());
beforeEach(() => {
	vi.useFakeTimers({now: noon, toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout']});
});
afterEach(() => vi.useRealTimers());

const asn1 = (time: number): string => new Date(time).toISOString().replace(/[-:T]|\.\d+/g, '');

async function listOf(from: number, until: number): Promise<Buffer> {
	return Buffer.from(await pki.list(ca, {thisUpdate: asn1(from), nextUpdate: asn1(until)}));
}

/** A server with the list that is due at each time, and what it was asked. */
function serve(list: (now: number) => Promise<Buffer>) {
	const askedAt: number[] = [];
	const fetcher = new CrlFetcher(async () => {
		askedAt.push((Date.now() - noon) / minute);
		return list(Date.now());
	});
	return {fetcher, askedAt};
}

describeWith(opensslServer, 'a fetched list', () => {
	test('that ends soon is followed by the next one ahead of its end', async () => {
		const lists = new Map([
			[0, await listOf(noon, noon + hour)],
			[1, await listOf(noon + hour / 2, noon + 2 * hour)],
		]);
		const {fetcher, askedAt} = serve(async now => lists.get(now < noon + hour / 2 ? 0 : 1) as Buffer);
		await fetcher.refresh(urls, issuer);
		expect(fetcher.held(urls, issuer)?.list.nextUpdate).toBe(noon + hour);
		vi.advanceTimersByTime(29 * minute);
		await fetcher.refresh(urls, issuer);
		expect(askedAt).toEqual([0]);
		vi.advanceTimersByTime(minute);
		await fetcher.refresh(urls, issuer);
		expect(askedAt).toEqual([0, 30]);
		await expect.poll(() => fetcher.held(urls, issuer)?.list.nextUpdate).toBe(noon + 2 * hour);
	});

	test('that has become outdated while nobody asked is waited for', async () => {
		const [first, second] = [await listOf(noon, noon + hour), await listOf(noon + hour, noon + 9 * hour)];
		const {fetcher, askedAt} = serve(async now => (now < noon + hour ? first : second));
		await fetcher.refresh(urls, issuer);
		vi.advanceTimersByTime(5 * hour);
		await fetcher.refresh(urls, issuer);
		expect(fetcher.held(urls, issuer)?.list.nextUpdate).toBe(noon + 9 * hour);
		expect(askedAt).toEqual([0, 300]);
	});

	test('also where the last attempt failed while the one before still held', async () => {
		const first = await listOf(noon, noon + hour);
		const second = await listOf(noon + hour, noon + 9 * hour);
		const {fetcher, askedAt} = serve(async now => {
			if (now < noon + minute) return first;
			if (now < noon + hour) throw new Error('cannot be fetched (503)');
			return second;
		});
		await fetcher.refresh(urls, issuer);
		vi.advanceTimersByTime(59.5 * minute);
		await fetcher.refresh(urls, issuer);
		await expect.poll(() => fetcher.failureOf(urls, issuer)).toBeDefined();
		expect(fetcher.held(urls, issuer)?.list.nextUpdate).toBe(noon + hour);
		vi.advanceTimersByTime(0.6 * minute);
		await fetcher.refresh(urls, issuer);
		expect(fetcher.held(urls, issuer)?.list.nextUpdate).toBe(noon + 9 * hour);
		expect(askedAt.map(Math.floor)).toEqual([0, 59, 60]);
	});

	test('that lasts is looked for again after six hours', async () => {
		const list = await listOf(noon, noon + 100 * hour);
		const {fetcher, askedAt} = serve(async () => list);
		for (let at = 0; at < 12; at += 1) {
			await fetcher.refresh(urls, issuer);
			vi.advanceTimersByTime(hour);
		}
		expect(askedAt).toEqual([0, 360]);
	});

	test('is not replaced by an older one, nor by one of the future', async () => {
		const present = await listOf(noon - hour, noon + 40 * hour);
		const others = [
			await listOf(noon - 2 * hour, noon + 50 * hour),
			await listOf(noon + 30 * hour, noon + 50 * hour),
		];
		const {fetcher} = serve(async now => (now < noon + hour ? present : (others.shift() as Buffer)));
		await fetcher.refresh(urls, issuer);
		for (const reason of [/holds an older revocation list/, /begins in the future \(2040-01-02T18/]) {
			vi.advanceTimersByTime(6 * hour);
			await fetcher.refresh(urls, issuer);
			await expect.poll(() => fetcher.failureOf(urls, issuer)).toMatch(reason);
			expect(fetcher.held(urls, issuer)?.list.nextUpdate).toBe(noon + 40 * hour);
		}
	});

	test('that cannot be had makes nobody wait for the next attempt', async () => {
		let attempts = 0;
		const fetcher = new CrlFetcher(async () => {
			attempts++;
			if (attempts === 1) throw new Error('cannot be fetched');
			return new Promise<never>(() => {});
		});
		await fetcher.refresh(urls, issuer);
		vi.advanceTimersByTime(30_000);
		await fetcher.refresh(urls, issuer);
		expect(attempts).toBe(1);
		vi.advanceTimersByTime(31_000);
		// Would wait for a timer that does not go on.
		await fetcher.refresh(urls, issuer);
		expect(attempts).toBe(2);
		expect(fetcher.failureOf(urls, issuer)).toMatch(/cannot be fetched/);
	});

	test('two CAs that name the same address have a list each', async () => {
		const other = await pki.authority('other', '/CN=other');
		const own = await listOf(noon, noon + hour);
		const {fetcher} = serve(async () => own);
		await fetcher.refresh(urls, await other.read());
		await fetcher.refresh(urls, issuer);
		expect(fetcher.held(urls, await other.read())).toBeUndefined();
		expect(fetcher.failureOf(urls, await other.read())).toMatch(/not signed by this CA/);
		expect(fetcher.held(urls, issuer)).toBeDefined();
	});

	test('from before a restart is fetched again when it is due, and goes when nobody asks any more', async () => {
		const folder = await mkdtemp(join(tmpdir(), 'gatepass-lists-'));
		try {
			vi.useRealTimers();
			const now = Date.now();
			const list = await listOf(now, now + 100 * hour);
			let attempts = 0;
			const start = () =>
				new CrlFetcher(async () => {
					attempts++;
					return list;
				}, new ListCache(folder));
			await start().refresh(urls, issuer);
			await start().refresh(urls, issuer);
			expect(attempts).toBe(1);
			const [name = ''] = await readdir(folder);
			const ago = (milliseconds: number) => new Date(now - milliseconds);
			await utimes(join(folder, name), ago(7 * hour), ago(7 * hour));
			const restarted = start();
			await restarted.refresh(urls, issuer);
			// It still holds, so nobody waits.
			expect(restarted.held(urls, issuer)?.place).toBe(join(folder, name));
			await expect.poll(() => [attempts, restarted.held(urls, issuer)?.place]).toEqual([2, urls[0]]);
			// What is in memory is written to disk afterwards.
			await expect.poll(async () => (await stat(join(folder, name))).mtimeMs).toBeGreaterThan(now - hour);
			await utimes(join(folder, name), ago(70 * 24 * hour), ago(70 * 24 * hour));
			await start().refresh(['http://elsewhere.example.org/'], issuer);
			expect(await readdir(folder)).not.toContain(name);
			expect(await readdir(folder)).toHaveLength(1);
		} finally {
			await rm(folder, {recursive: true, force: true});
		}
	});
});
