/** Revocation lists that are fetched from where a `.crl_url` says. */
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {expect, onTestFinished, test, vi} from 'vitest';
import {ListDownloads} from '../../src/trust/crl-fetcher.ts';
import {parseRevocationList} from '../../src/trust/revocation-list.ts';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {
	expectRefusal,
	gatepassFor,
	grid,
	gridName,
	host,
	newFolder,
	outcome,
	pki,
	root,
	server,
} from './stage.ts';

describeWith(opensslServer, 'lists that are fetched', () => {
	interface ListServer {
		readonly url: string;
		readonly requests: string[];
		/** What it answers with. */
		content: string | Buffer | number;
	}

	async function startListServer(content: ListServer['content']): Promise<ListServer> {
		const requests: string[] = [];
		const http: Server = createServer((request, response) => {
			requests.push(request.url ?? '');
			if (typeof state.content === 'number') response.writeHead(state.content).end();
			else response.end(state.content);
		});
		await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve));
		onTestFinished(() => {
			http.closeAllConnections();
			http.close();
		});
		const state = {url: `http://127.0.0.1:${(http.address() as AddressInfo).port}/ca.crl`, requests, content};
		return state;
	}

	test('from where .crl_url says, before the first request goes out, and once', async () => {
		const lists = await startListServer(await pki.list(grid, {revoked: [host]}));
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', `${lists.url}\n`);
		const gatepass = await gatepassFor(folder.path);
		await expectRefusal(gatepass, /is revoked, says http:/, lists.url);
		await expectRefusal(gatepass, /is revoked/);
		expect(lists.requests).toEqual(['/ca.crl']);
	});

	test('one that speaks for the server: also with a client that shares the connection', async () => {
		const lists = await startListServer(await pki.list(grid));
		const rootLists = await startListServer(await pki.list(root));
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', lists.url);
		await folder.put(root, 'crl_url', `\n${rootLists.url}\n`);
		const gatepass = await gatepassFor(folder.path, {crl: 'require'});
		expect(await Promise.all([outcome(gatepass), outcome(gatepass)])).toEqual([200, 200]);
		expect(await outcome(gatepass)).toBe(200);
		expect([lists.requests.length, rootLists.requests.length]).toEqual([1, 1]);
	});

	test('not where a list is there already', async () => {
		const lists = await startListServer(500);
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', lists.url);
		await folder.put(grid, 'r0', await pki.list(grid));
		expect(await outcome(await gatepassFor(folder.path))).toBe(200);
		expect(lists.requests).toEqual([]);
	});

	test('in the place of one that is outdated', async () => {
		const lists = await startListServer(await pki.list(grid));
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', lists.url);
		await folder.put(grid, 'r0', await pki.list(grid, {nextUpdate: '20200201000000Z'}));
		expect(await outcome(await gatepassFor(folder.path))).toBe(200);
		expect(lists.requests).toHaveLength(1);
	});

	test('one that cannot be had, or is of somebody else, is as good as none', async () => {
		const impostor = await pki.authority('another', gridName);
		for (const [content, reason] of [
			[404, /cannot be fetched \(404\)/],
			['nothing', /holds no revocation list/],
			[await pki.list(impostor, {revoked: [host]}), /not signed by this CA/],
		] as const) {
			const lists = await startListServer(content);
			const folder = await newFolder();
			await folder.put(root, 'r0', await pki.list(root));
			await folder.put(grid, 'crl_url', lists.url);
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			await expectRefusal(await gatepassFor(folder.path, {crl: 'require'}), reason, lists.url, /is missing/);
		}
	});

	test('the second address where the first one fails', async () => {
		const broken = await startListServer(403);
		const lists = await startListServer(await pki.list(grid, {revoked: [host]}));
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', `ldap://127.0.0.1/x\n${broken.url}\n${lists.url}\n`);
		await expectRefusal(await gatepassFor(folder.path), /is revoked/, lists.url);
		expect(broken.requests).toHaveLength(1);
	});

	test('verification that is switched off for one request fetches nothing', async () => {
		const lists = await startListServer(await pki.list(grid, {revoked: [host]}));
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', lists.url);
		const gatepass = await gatepassFor(folder.path);
		expect(await outcome(gatepass, server.url, {https: {rejectUnauthorized: false}})).toBe(200);
		expect(lists.requests).toEqual([]);
		await expectRefusal(gatepass, /is revoked/);
	});
});

test('after a failure nobody waits for the next attempt', async () => {
	vi.useFakeTimers({toFake: ['performance', 'setTimeout', 'clearTimeout']});
	onTestFinished(() => void vi.useRealTimers());
	let attempts = 0;
	const downloads = new ListDownloads(async () => {
		attempts++;
		if (attempts === 1) throw new Error('cannot be fetched');
		return new Promise<never>(() => {});
	});
	const urls = ['http://ca.example.org/ca.crl'];
	await downloads.refresh(urls, () => true);
	vi.advanceTimersByTime(61_000);
	// Would wait for a timer that does not go on.
	await downloads.refresh(urls, () => true);
	expect(attempts).toBe(2);
	expect(downloads.failureOf(urls)).toMatch(/cannot be fetched/);
});

test('of a list of which nobody knows who signed it, the entries are not read: millions take seconds', () => {
	const der = (tag: number, ...parts: Buffer[]): Buffer => {
		const content = Buffer.concat(parts);
		const length = Buffer.alloc(4);
		length.writeUInt32BE(content.length);
		return Buffer.concat([Buffer.of(tag, 0x84), length, content]);
	};
	const algorithm = der(0x30, der(6, Buffer.from('2a864886f70d01010b', 'hex')), Buffer.of(5, 0));
	const entries = der(0x30, Buffer.from('no entries at all'));
	const content = der(0x30, algorithm, der(0x30), der(0x17, Buffer.from('260101000000Z')), entries);
	const list = parseRevocationList(der(0x30, content, algorithm, der(3, Buffer.alloc(257))));
	expect(() => list.size).toThrow(/damaged/);
});
