/** Revocation lists, signing policies and namespaces against a real server: who is believed, and how a refusal is told. */
import {readFile, rename, truncate, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {describe, expect, onTestFinished, test} from 'vitest';
import {CertificateError} from '../../src/errors.ts';
import {describeWith} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {signingPolicy, startTlsServer} from './pki.ts';
import {
	expectRefusal,
	gatepassFor,
	grid,
	gridName,
	host,
	newFolder,
	other,
	outcome,
	pki,
	root,
	rootName,
	server,
} from './stage.ts';

describeWith(opensslServer, 'a CA folder', () => {
	test('without lists and policies', async () => {
		expect(await outcome(await gatepassFor((await newFolder()).path))).toBe(200);
		// A chain has to lead to a root.
		expect(await outcome(await gatepassFor((await newFolder([grid])).path))).toBeInstanceOf(CertificateError);
	});

	test('a request without authentication is verified all the same', async () => {
		const options = {context: {gatepass: false}};
		expect(await outcome(await gatepassFor((await newFolder()).path), server.url, options)).toBe(200);
		const folder = await newFolder();
		await folder.put(grid, 'r0', await pki.list(grid, {revoked: [host]}));
		const error = await outcome(await gatepassFor(folder.path), server.url, options);
		expect(error).toBeInstanceOf(CertificateError);
		expect((error as Error).message).toMatch(/is revoked/);
	});

	describe('revocation lists', () => {
		test('a server that is on none is believed, one that is on one is not', async () => {
			const folder = await newFolder();
			await folder.put(root, 'r0', await pki.list(root));
			await folder.put(grid, 'r0', await pki.list(grid, {revoked: [other]}));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			expect(await outcome(await gatepassFor(folder.path, {crl: 'require'}))).toBe(200);
			const file = await folder.put(grid, 'r0', await pki.list(grid, {revoked: [other, host]}));
			const gatepass = await gatepassFor(folder.path);
			await expectRefusal(gatepass, /cannot be trusted: it is revoked, says/, file, /Do not trust it/);
			await expectRefusal(gatepass, /is revoked/);
		});

		test('in DER, under the old hash, and as the second of two', async () => {
			const revoking = await pki.list(grid, {revoked: [host]});
			const folder = await newFolder();
			const der = Buffer.from(revoking.replace(/-----[^-]+-----|\s/g, ''), 'base64');
			await folder.put(grid, 'r0', der, 'old');
			await expectRefusal(await gatepassFor(folder.path), /is revoked/);
			const second = await newFolder();
			await second.put(grid, 'r0', await pki.list(grid));
			await second.put(grid, 'r1', revoking);
			await expectRefusal(await gatepassFor(second.path), /is revoked, says .*\.r1 /);
		});

		test('a CA in the chain that is revoked', async () => {
			const folder = await newFolder();
			await folder.put(root, 'r0', await pki.list(root, {revoked: [grid]}));
			const gatepass = await gatepassFor(folder.path);
			await expectRefusal(
				gatepass,
				/of the CA certificate CN=Grid CA,DC=gatepass,DC=org in its chain: it is revoked/,
			);
		});

		test("'crl: require' wants one of each CA", async () => {
			const folder = await newFolder();
			await folder.put(grid, 'r0', await pki.list(grid));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			const missing =
				/no revocation list of CN=Root,O=Gatepass,C=CH, which 'crl: require' demands: \S+\.r0 is missing/;
			await expectRefusal(await gatepassFor(folder.path, {crl: 'require'}), missing, /fetch-crl/);
		});

		test('one that is outdated', async () => {
			const folder = await newFolder();
			const file = await folder.put(grid, 'r0', await pki.list(grid, {nextUpdate: '20200201000000Z'}));
			const outdated = /of CN=Grid CA,DC=gatepass,DC=org is outdated: .* was good until 2020-02-01T00:00:00/;
			await expectRefusal(await gatepassFor(folder.path), outdated, file, /fetch-crl/);
			await folder.put(grid, 'r1', await pki.list(grid));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
		});

		test('one that cannot be used', async () => {
			const impostor = await pki.authority('impostor', gridName);
			const good = await pki.list(grid);
			for (const [content, reason] of [
				['nothing', /holds no revocation list/],
				['', /holds no revocation list/],
				[good.slice(0, good.length / 2), /damaged or cut off/],
				[await pki.list(impostor), /is not signed by this CA/],
				[
					await pki.list(grid, {
						extensions: ['issuingDistributionPoint = critical, @idp', '[idp]', 'indirectCRL = TRUE'],
					}),
					/for several CAs/,
				],
				[await pki.list(grid, {extensions: ['2.5.29.27 = critical, DER:020101']}), /only the changes/],
			] as const) {
				const folder = await newFolder();
				await folder.put(grid, 'r0', content);
				await expectRefusal(await gatepassFor(folder.path), reason, /cannot be used/);
			}
		});

		test('one of more than 64 MiB is not read', async () => {
			const folder = await newFolder();
			const file = await folder.put(grid, 'r0', await pki.list(grid));
			await truncate(file, 64 * 1024 * 1024 + 1);
			await expectRefusal(
				await gatepassFor(folder.path),
				file,
				/has 67108865 bytes, and at most 67108864 are read/,
			);
		});

		test('one for some certificates only: what it names is revoked, what it does not name is not known', async () => {
			const extensions = ['issuingDistributionPoint = critical, @idp', '[idp]', 'onlyuser = TRUE'];
			const folder = await newFolder();
			await folder.put(root, 'r0', await pki.list(root));
			await folder.put(grid, 'r0', await pki.list(grid, {extensions}));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			await expectRefusal(await gatepassFor(folder.path, {crl: 'require'}), /for some certificates only/);
			await folder.put(grid, 'r0', await pki.list(grid, {extensions, revoked: [host]}));
			await expectRefusal(await gatepassFor(folder.path), /is revoked/);
		});
	});

	describe('which names a CA may give', () => {
		test('a signing policy', async () => {
			const folder = await newFolder();
			await folder.put(root, 'signing_policy', signingPolicy(rootName, '/DC=org/DC=gatepass/*'));
			await folder.put(grid, 'signing_policy', signingPolicy(gridName, '/DC=org/DC=gatepass/OU=Hosts/*'));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			const file = await folder.put(
				grid,
				'signing_policy',
				signingPolicy(gridName, '/DC=org/DC=gatepass/OU=Users/*'),
			);
			await expectRefusal(
				await gatepassFor(folder.path),
				/its CA \(CN=Grid CA,DC=gatepass,DC=org\) may not give the name \/DC=org\/DC=gatepass\/OU=Hosts\/CN=localhost/,
				`${file}:3`,
			);
		});

		test('holds CAs below it, too', async () => {
			const folder = await newFolder();
			await folder.put(root, 'signing_policy', signingPolicy(rootName, '/C=CH/*'), 'old');
			await expectRefusal(
				await gatepassFor(folder.path),
				/of the CA certificate CN=Grid CA.* may not give the name/,
			);
		});

		test('a namespaces file goes before a signing policy', async () => {
			const folder = await newFolder();
			await folder.put(grid, 'signing_policy', signingPolicy(gridName, '/*'));
			const permit = (subject: string) => `TO Issuer "${gridName}" \\\n  PERMIT Subject "${subject}"\n`;
			await folder.put(grid, 'namespaces', permit('/DC=org/DC=gatepass/.*'));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			const file = await folder.put(grid, 'namespaces', permit('/DC=org/DC=elsewhere/.*'));
			await expectRefusal(await gatepassFor(folder.path), /may not give/, `${file}:1`);
			await folder.put(
				grid,
				'namespaces',
				`${permit('/.*')}TO Issuer SELF DENY Subject "/.*/CN=localhost"\n`,
			);
			await expectRefusal(await gatepassFor(folder.path), /may not give/, `${file}:3`);
		});

		test('a namespaces file of the root speaks of the CA below it', async () => {
			const folder = await newFolder();
			const about = (subject: string) =>
				`TO Issuer SELF PERMIT Subject "/.*"\nTO Issuer "${gridName}" PERMIT Subject "${subject}"\n`;
			await folder.put(root, 'namespaces', about('/DC=org/.*'));
			expect(await outcome(await gatepassFor(folder.path))).toBe(200);
			await folder.put(root, 'namespaces', about('/DC=com/.*'));
			await expectRefusal(
				await gatepassFor(folder.path),
				/may not give the name .*CN=localhost, says .*namespaces:2/,
			);
		});

		test('a file that cannot be understood, or says nothing of its CA, permits nothing', async () => {
			const folder = await newFolder();
			const file = await folder.put(grid, 'signing_policy', 'access_id_CA X509\n');
			await expectRefusal(await gatepassFor(folder.path), `${file}:1: it should read: access_id_CA`);
			await folder.put(grid, 'signing_policy', signingPolicy('/CN=another', '/*'));
			await expectRefusal(await gatepassFor(folder.path), file, /says nothing about it/);
		});
	});

	describe('files that change', () => {
		/** The files are looked at once a second at most. */
		const untilLookedAt = () => pause(1100);

		test('a new list holds for new connections, a broken one takes nothing away', async () => {
			const folder = await newFolder();
			const gatepass = await gatepassFor(folder.path);
			const fresh = {agent: {https: undefined}, headers: {connection: 'close'}};
			expect(await outcome(gatepass, server.url, fresh)).toBe(200);
			const file = await folder.put(grid, 'r0', await pki.list(grid, {revoked: [host]}));
			await untilLookedAt();
			await expectRefusal(gatepass, /is revoked/);
			await writeFile(file, 'half written');
			await untilLookedAt();
			await expectRefusal(gatepass, /is revoked/);
			await folder.put(grid, 'r0', await pki.list(grid));
			await untilLookedAt();
			expect(await outcome(gatepass, server.url, fresh)).toBe(200);
		});

		test('a CA that is renewed or taken away', async () => {
			const file = join(pki.folder, 'changing.pem');
			const stranger = await pki.authority('stranger', '/CN=stranger');
			await writeFile(file, await readFile(stranger.certificate));
			const gatepass = await gatepassFor('./changing.pem');
			expect(await outcome(gatepass)).toMatchObject({message: /no trusted CA vouches/});
			await writeFile(`${file}.new`, await readFile(root.certificate));
			await rename(`${file}.new`, file);
			await untilLookedAt();
			expect(await outcome(gatepass, server.url, {headers: {connection: 'close'}})).toBe(200);
			await writeFile(file, '');
			await untilLookedAt();
			expect(await outcome(gatepass, server.url, {headers: {connection: 'close'}})).toBe(200);
			// A session of the connection before must not vouch for a server whose CA is gone.
			await writeFile(file, await readFile(stranger.certificate));
			await untilLookedAt();
			expect(await outcome(gatepass)).toMatchObject({message: /no trusted CA vouches/});
		});
	});

	test.each(['TLSv1.2', 'TLSv1.3'])('no session of %s is resumed past the check', async version => {
		const own = await startTlsServer(host, [version === 'TLSv1.3' ? '-tls1_3' : '-tls1_2']);
		onTestFinished(() => own.close());
		const folder = await newFolder();
		const gatepass = await gatepassFor(folder.path);
		const fresh = {headers: {connection: 'close'}};
		for (let turn = 0; turn < 3; turn++) {
			const {body} = await gatepass.got(own.url, fresh);
			expect(body).toMatch(/^New, /m);
			expect(body).not.toMatch(/^Reused, /m);
		}
		// Without anything to check, sessions are resumed as before.
		const plain = await gatepassFor(root.certificate);
		const bodies = [];
		for (let turn = 0; turn < 3; turn++) bodies.push((await plain.got(own.url, fresh)).body);
		expect(bodies.some(body => /^Reused, /m.test(body))).toBe(true);
	});
});
