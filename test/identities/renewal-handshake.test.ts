/** A renewed certificate with a real server: who is seen before, while and after it takes the old one's place. */
import {once} from 'node:events';
import {copyFile, mkdir, mkdtemp, rename, rm} from 'node:fs/promises';
import type {IncomingHttpHeaders} from 'node:http';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Readable} from 'node:stream';
import {afterAll, afterEach, beforeAll, beforeEach, expect, test} from 'vitest';
import {createGatepass, type Gatepass} from '../../src/index.ts';
import type {CertificateFiles} from '../../src/testing/authority.ts';
import {type ApacheWithUsers, apache, startApacheMtls, type TlsVersion} from '../servers/apache.ts';
import {describeWith} from '../servers/availability.ts';

const versions: readonly TlsVersion[] = ['TLSv1.3', 'TLSv1.2'];

describeWith(apache, 'a renewed certificate', () => {
	let server: ApacheWithUsers;
	let folder: string;
	let gatepass: Gatepass;

	beforeAll(async () => {
		server = await startApacheMtls();
	});
	afterAll(async () => server?.close());
	beforeEach(async () => {
		folder = await mkdtemp(join(tmpdir(), 'gatepass-renewal-'));
		await putInPlace(server.users.alice);
		gatepass = await createGatepass({
			env: {},
			config: {
				cache: {url: 'memory:'},
				trust: [{match: '127.0.0.1:*', ca: server.ca, only: true}],
				hostRules: [{match: '127.0.0.1:*', strategy: 'grid-certificate', options: {directory: folder}}],
			},
		});
	});
	afterEach(async () => {
		await gatepass.close();
		await rm(folder, {recursive: true, force: true});
	});

	/** Each file takes the place of the one before at once, as certificate tools do it. */
	async function putInPlace({certificate, key}: CertificateFiles): Promise<void> {
		await mkdir(folder, {recursive: true});
		for (const [from, name] of [
			[key, 'userkey.pem'],
			[certificate, 'usercert.pem'],
		] as const) {
			await copyFile(from, join(folder, 'new'));
			await rename(join(folder, 'new'), join(folder, name));
		}
	}

	test.for(versions)('over %s', async (version, {expect}) => {
		const url = server.urls[version];
		const [alice, bob] = ['CN=alice,OU=Users,O=Gatepass', 'CN=bob,OU=Users,O=Gatepass'];
		const download = gatepass.got.stream(`${url}/large`);
		const [response] = await once(download, 'response');
		expect(response.headers['x-client-dn']).toBe(alice);
		expect((await gatepass.got(url)).headers['x-client-dn']).toBe(alice);

		await putInPlace(server.users.bob);
		let after: IncomingHttpHeaders = {};
		const seen = async () => {
			after = (await gatepass.got(url)).headers;
			return after['x-client-dn'];
		};
		await expect.poll(seen, {interval: 100}).toBe(bob);
		// The request under way goes on where it is, under the name that it began with.
		expect(await sizeOf(download)).toBe(32 * 1024 * 1024);

		// And its connection is used no more.
		const later = await Promise.all(Array.from({length: 4}, () => gatepass.got(url)));
		expect(later.map(({headers}) => headers['x-client-dn'])).toEqual(later.map(() => bob));
		expect(later.map(({headers}) => headers['x-client-port'])).toContain(after['x-client-port']);
		const ports = later.map(({headers}) => headers['x-client-port']);
		expect(ports).not.toContain(response.headers['x-client-port']);
	});

	async function sizeOf(body: Readable): Promise<number> {
		let size = 0;
		for await (const chunk of body) size += chunk.length;
		return size;
	}

	test('of which only one half is there: the old one goes on until the other comes', async () => {
		const url = server.urls['TLSv1.3'];
		const subject = async () => (await gatepass.got(url)).headers['x-client-dn'];
		expect(await subject()).toBe('CN=alice,OU=Users,O=Gatepass');
		await copyFile(server.users.bob.key, join(folder, 'userkey.pem'));
		const told = async () => {
			expect(await subject()).toBe('CN=alice,OU=Users,O=Gatepass');
			const [rule] = await gatepass.status();
			return JSON.stringify(rule);
		};
		await expect.poll(told, {interval: 100}).toContain('does not belong to');
		await copyFile(server.users.bob.certificate, join(folder, 'usercert.pem'));
		await expect.poll(subject, {interval: 100}).toBe('CN=bob,OU=Users,O=Gatepass');
	});
});
