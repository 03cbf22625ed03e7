/** Revocation lists that are fetched from where a `.crl_url` says. */

import {readdir, readFile, writeFile} from 'node:fs/promises';
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
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

	test('the second address where the first one has an outdated list, one of the future, or an old one', async () => {
		const late = new Date(Date.now() + 86_400_000).toISOString().replace(/[-:T]|\.\d+/g, '');
		for (const settings of [
			{nextUpdate: '20200201000000Z'},
			{thisUpdate: late, nextUpdate: '20990101000000Z'},
		]) {
			const useless = await startListServer(await pki.list(grid, settings));
			const lists = await startListServer(await pki.list(grid, {revoked: [host]}));
			const folder = await newFolder();
			await folder.put(grid, 'crl_url', `${useless.url}\n${lists.url}\n`);
			await expectRefusal(await gatepassFor(folder.path), /is revoked/, lists.url);
			expect(useless.requests).toHaveLength(1);
		}
	});

	test('an outdated list, where there is no other, is refused and told', async () => {
		const lists = await startListServer(await pki.list(grid, {nextUpdate: '20200201000000Z'}));
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', lists.url);
		await expectRefusal(await gatepassFor(folder.path), /is outdated: http.*was good until 2020-02-01/);
	});

	test('the second address where the first one keeps silent', async () => {
		const silent = createServer(() => {});
		await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
		onTestFinished(() => {
			silent.closeAllConnections();
			silent.close();
		});
		const lists = await startListServer(await pki.list(grid, {revoked: [host]}));
		const folder = await newFolder();
		const {port} = silent.address() as AddressInfo;
		await folder.put(grid, 'crl_url', `http://127.0.0.1:${port}/\n${lists.url}\n`);
		await expectRefusal(await gatepassFor(folder.path), /is revoked/, lists.url);
	});

	test('the addresses of each folder, and of each hash', async () => {
		const broken = await startListServer(500);
		const lists = await startListServer(await pki.list(grid, {revoked: [host]}));
		const [folder, second] = [await newFolder(), await newFolder()];
		await folder.put(grid, 'crl_url', broken.url);
		await second.put(grid, 'crl_url', lists.url, 'old');
		await expectRefusal(await gatepassFor([folder.path, second.path]), /is revoked/, lists.url);
	});

	test('is kept over a restart, for whoever comes when its server is away', async () => {
		const lists = await startListServer(await pki.list(grid, {revoked: [host]}));
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', lists.url);
		const home = join(pki.folder, 'kept');
		await expectRefusal(await gatepassFor(folder.path, {}, home), /is revoked/, lists.url);
		lists.content = 500;
		const keptIn = join(home, '.cache', 'gatepass', 'revocation-lists');
		await expectRefusal(await gatepassFor(folder.path, {}, home), /is revoked/, keptIn);
		// It was fetched a moment ago.
		expect(lists.requests).toHaveLength(1);

		// Whoever can write there can have no list believed that its CA has not signed.
		const [name = ''] = await readdir(keptIn);
		const der = await readFile(join(keptIn, name));
		for (const content of [
			Buffer.alloc(0),
			der.subarray(0, 50),
			Buffer.from(der).fill(0, der.length - 20),
			Buffer.from(await pki.list(await pki.authority('stranger', gridName))),
		]) {
			await writeFile(join(keptIn, name), content);
			lists.content = await pki.list(grid, {revoked: [host]});
			await expectRefusal(await gatepassFor(folder.path, {}, home), /is revoked/, lists.url);
		}
		expect(lists.requests).toHaveLength(5);
	});

	test('a home that may not be written to is no hindrance', async () => {
		const lists = await startListServer(await pki.list(grid));
		const folder = await newFolder();
		await folder.put(grid, 'crl_url', lists.url);
		expect(await outcome(await gatepassFor(folder.path, {}, '/dev/null/home'))).toBe(200);
	});
});
