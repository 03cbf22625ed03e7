/** CA certificates with trust settings (`TRUSTED CERTIFICATE`): what OpenSSL and Node make of them, gatepass makes of them. */
import {execFile} from 'node:child_process';
import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {connect} from 'node:tls';
import {promisify} from 'node:util';
import {expect, test} from 'vitest';
import {buildBundle} from '../../src/bundles/build.ts';
import {CertificateError} from '../../src/errors.ts';
import {createTrustSet, TrustStores} from '../../src/trust/trust-stores.ts';
import {parseCertificates} from '../../src/x509/certificates.ts';
import {toTrustedPem, trustSettingsOf} from '../../src/x509/trust-settings.ts';
import {describeWith, findProgram, type RealServer} from '../servers/availability.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import type {Holder} from './pki.ts';
import {gatepassFor, grid, host, newFolder, outcome, pki, root, server} from './stage.ts';

/** The certificate of a CA with settings, as the `openssl` program writes them. */
async function withSettings(holder: Holder, ...settings: readonly string[]): Promise<string> {
	return pki.openssl('x509', '-in', holder.certificate, '-trustout', ...settings);
}

const believed = (work: Promise<unknown>): Promise<boolean> =>
	work.then(
		() => true,
		() => false,
	);

/** Whether OpenSSL believes the server with these CA certificates, and whether Node does. */
async function othersBelieve(file: string): Promise<boolean[]> {
	const ca = await readFile(file);
	const byOpenssl = pki.openssl(
		...['verify', '-purpose', 'sslserver', '-no-CApath', '-no-CAstore', '-CAfile', file],
		...['-untrusted', grid.certificate, host.certificate],
	);
	const {hostname, port} = new URL(server.url);
	const byNode = new Promise<void>((resolve, reject) => {
		const socket = connect({host: hostname, port: Number(port), ca}, () => {
			socket.destroy();
			resolve();
		});
		socket.on('error', reject);
	});
	return Promise.all([believed(byOpenssl), believed(byNode)]);
}

describeWith(opensslServer, 'a CA certificate with trust settings', () => {
	const cases: readonly [string, () => Promise<string>, boolean][] = [
		['none', () => withSettings(root), true],
		['a name alone', () => withSettings(root, '-setalias', 'a name'), true],
		['for servers', () => withSettings(root, '-addtrust', 'serverAuth'), true],
		[
			'for servers and mail',
			() => withSettings(root, '-addtrust', 'emailProtection', '-addtrust', 'serverAuth'),
			true,
		],
		['for any use', () => withSettings(root, '-addtrust', 'anyExtendedKeyUsage'), true],
		['for mail alone', () => withSettings(root, '-addtrust', 'emailProtection'), false],
		['for clients alone', () => withSettings(root, '-addtrust', 'clientAuth'), false],
		['rejected for servers', () => withSettings(root, '-addreject', 'serverAuth'), false],
		['rejected for any use', () => withSettings(root, '-addreject', 'anyExtendedKeyUsage'), false],
		['rejected for mail', () => withSettings(root, '-addreject', 'emailProtection'), true],
		[
			'for servers, and rejected for them',
			() => withSettings(root, '-addtrust', 'serverAuth', '-addreject', 'serverAuth'),
			false,
		],
		['below the root, for servers', () => withSettings(grid, '-addtrust', 'serverAuth'), true],
		['below the root, for mail', () => withSettings(grid, '-addtrust', 'emailProtection'), false],
		['below the root, none', () => withSettings(grid), false],
		[
			'below the root, for mail, with a root for servers',
			async () =>
				(await withSettings(grid, '-addtrust', 'emailProtection')) +
				(await withSettings(root, '-addtrust', 'serverAuth')),
			false,
		],
		[
			'rejected, and once more without',
			async () =>
				(await withSettings(root, '-addreject', 'serverAuth')) + (await readFile(root.certificate, 'utf8')),
			false,
		],
		[
			'without, and once more rejected',
			async () =>
				(await readFile(root.certificate, 'utf8')) + (await withSettings(root, '-addreject', 'serverAuth')),
			true,
		],
	];

	test.each(cases)('%s', async (name, make, isBelieved) => {
		const file = join(pki.folder, `settings ${name}.pem`);
		await writeFile(file, await make());
		expect(await othersBelieve(file)).toEqual([isBelieved, isBelieved]);
		const gatepass = await gatepassFor(file);
		if (isBelieved) expect(await outcome(gatepass)).toBe(200);
		else expect(await outcome(gatepass)).toBeInstanceOf(CertificateError);
		// The chain of certificates is judged in the same way where no connection is made.
		const store = createTrustSet({patterns: [], files: [file], only: true, source: 'trust[0]'});
		const chain = [await host.read(), await grid.read()];
		expect(store.verifyChain(chain).end === 'complete').toBe(isBelieved);
	});

	test('in a CA folder', async () => {
		const folder = await newFolder([grid]);
		const file = await folder.put(root, '0', await withSettings(root, '-addtrust', 'serverAuth'));
		expect(await outcome(await gatepassFor(folder.path))).toBe(200);
		await writeFile(file, await withSettings(root, '-addreject', 'serverAuth'));
		const error = await outcome(await gatepassFor(folder.path));
		expect(error).toBeInstanceOf(CertificateError);
		const [, second] = await Promise.all([
			gatepassFor(folder.path),
			gatepassFor([folder.path, root.certificate]),
		]);
		expect(await outcome(second)).toBeInstanceOf(CertificateError);
	});

	test('a change of the settings alone takes effect', async () => {
		const file = join(pki.folder, 'changing.pem');
		await writeFile(file, await withSettings(root, '-addtrust', 'serverAuth'));
		const gatepass = await gatepassFor(file);
		expect(await outcome(gatepass)).toBe(200);
		await writeFile(file, await withSettings(root, '-addtrust', 'emailProtection'));
		const refused = async (): Promise<boolean> =>
			(await outcome(gatepass, server.url, {headers: {connection: 'close'}})) instanceof CertificateError;
		await expect.poll(refused).toBe(true);
	});

	test('settings that are damaged make the certificate unusable, as for OpenSSL', async () => {
		const pem = await withSettings(root, '-addreject', 'serverAuth');
		const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
		for (const bytes of [der.subarray(0, -1), Buffer.concat([(await root.read()).raw, Buffer.of(5, 0)])]) {
			const file = join(pki.folder, 'damaged-settings.pem');
			const base64 = bytes.toString('base64').replace(/.{64}/g, '$&\n');
			await writeFile(
				file,
				`-----BEGIN TRUSTED CERTIFICATE-----\n${base64}\n-----END TRUSTED CERTIFICATE-----\n`,
			);
			expect(await othersBelieve(file)).toEqual([false, false]);
			expect(await outcome(await gatepassFor(file))).toMatchObject({message: /damaged/});
		}
	});

	test('of an identity, say nothing about what servers believe', async () => {
		const file = join(pki.folder, 'identity-settings.pem');
		const chain = [await host.read(), await grid.read()];
		const judge = () =>
			new TrustStores([{patterns: [], files: [file], only: true, source: 'trust[0]'}]).judgeIdentity(chain);
		await writeFile(file, await withSettings(root, '-addtrust', 'serverAuth'));
		expect(judge()).toEqual({outcome: 'unknown'});
		await writeFile(file, await withSettings(root, '-addtrust', 'clientAuth'));
		expect(judge()).toMatchObject({outcome: 'complete'});
	});

	test('keeps them in a bundle that is built of it', async () => {
		const from = await newFolder([]);
		await writeFile(join(from.path, 'ca.pem'), await withSettings(root, '-addreject', 'serverAuth'));
		const {bundle} = await buildBundle({from: from.path, to: join(pki.folder, 'bundle'), days: 0});
		expect(await outcome(await gatepassFor(bundle.folder))).toBeInstanceOf(CertificateError);
		expect(await outcome(await gatepassFor(bundle.file))).toBeInstanceOf(CertificateError);
	});
});

const p11kit: RealServer = {
	name: 'p11-kit',
	install: 'apt-get install p11-kit',
	whyUnavailable: () => (findProgram('trust') === undefined ? 'there is no program trust' : undefined),
};

describeWith(p11kit, "p11-kit's bundle of the system's CA certificates", () => {
	test('is read with its settings, and written as it was', async () => {
		const file = join(pki.folder, 'p11-kit.crt');
		await promisify(execFile)(findProgram('trust') as string, [
			...['extract', '--format=openssl-bundle', '--filter=certificates', file],
		]);
		const text = await readFile(file, 'utf8');
		const certificates = parseCertificates(Buffer.from(text), file);
		expect(certificates.length).toBe(text.split('BEGIN TRUSTED CERTIFICATE').length - 1);
		expect(certificates.length).toBeGreaterThan(50);
		const blocks = text.match(/-----BEGIN .+?-----END TRUSTED CERTIFICATE-----\n/gs) ?? [];
		expect(certificates.map(toTrustedPem)).toEqual(blocks);
		expect(certificates.every(certificate => trustSettingsOf(certificate) !== undefined)).toBe(true);
	});
});
