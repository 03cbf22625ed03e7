/** One folder for Debian's certbot and gatepass: each lists, reads and renews what the other made. */
import {spawn} from 'node:child_process';
import {createPrivateKey} from 'node:crypto';
import {once} from 'node:events';
import {existsSync} from 'node:fs';
import {
	chmod,
	chown,
	lstat,
	mkdtemp,
	readdir,
	readFile,
	readlink,
	rm,
	stat,
	writeFile,
} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {describe, expect, onTestFinished, test, vi} from 'vitest';
import {findAccount} from '../../../src/issuers/acme/account.ts';
import {StandaloneAuthenticator} from '../../../src/issuers/acme/authenticators/http-01.ts';
import {generateCertificateKey, identifierOf} from '../../../src/issuers/acme/certificate-request.ts';
import {AccountKey} from '../../../src/issuers/acme/jws.ts';
import {obtainCertificate} from '../../../src/issuers/acme/obtain.ts';
import {StoredAccounts} from '../../../src/lineages/certbot/accounts.ts';
import {CertbotFolder} from '../../../src/lineages/certbot/folder.ts';
import {domainsOf, Lineage, type VersionFiles, versionFiles} from '../../../src/lineages/certbot/lineage.ts';
import {withLock} from '../../../src/lineages/certbot/lock.ts';
import * as nativeLock from '../../../src/lineages/certbot/native-lock.ts';
import {createTestAuthority} from '../../../src/testing/authority.ts';
import {accountAt, connectTo, pebbleFor} from '../../issuers/acme/stage.ts';
import {describeWith} from '../../servers/availability.ts';
import {certbot, runCertbot} from '../../servers/certbot.ts';
import {type Pebble, pebble} from '../../servers/pebble.ts';

async function newFolder(): Promise<CertbotFolder> {
	const path = await mkdtemp(join(tmpdir(), 'gatepass-letsencrypt-'));
	onTestFinished(async () => {
		for (const one of [path, `${path}-work`, `${path}-logs`]) await rm(one, {recursive: true, force: true});
	});
	const folder = new CertbotFolder(path);
	await folder.prepare();
	return folder;
}

async function obtainFor(server: Pebble, domains: readonly string[], key: AccountKey): Promise<VersionFiles> {
	const connection = connectTo(server);
	const certificateKey = generateCertificateKey();
	const obtained = await obtainCertificate(connection, await accountAt(connection, key), {
		identifiers: domains.map(identifierOf),
		key: certificateKey,
		authenticators: [new StandaloneAuthenticator({address: '127.0.0.1', port: server.httpPort})],
	});
	return versionFiles(obtained, certificateKey);
}

/** A lineage of ours at this server, with the account that certbot needs to renew it. */
async function makeLineage(
	folder: CertbotFolder,
	server: Pebble,
	domains: readonly string[],
): Promise<Lineage> {
	const accounts = new StoredAccounts(folder, server.directoryUrl);
	const accountKey = AccountKey.generate();
	const files = await obtainFor(server, domains, accountKey);
	const account = await findAccount(connectTo(server), accountKey);
	const {id} = await accounts.save(createPrivateKey(accountKey.toPem()), account?.accountUrl as string);
	return Lineage.create(folder, domains[0] as string, files, {
		account: id,
		authenticator: 'standalone',
		http01_port: String(server.httpPort),
		http01_address: '127.0.0.1',
		server: server.directoryUrl,
		key_type: 'ecdsa',
	});
}

describeWith([pebble, certbot], 'with certbot', () => {
	test('it lists, and renews, what gatepass made, and gatepass reads on', async () => {
		const [server, folder] = [await pebbleFor({nonceReject: 0}), await newFolder()];
		const lineage = await makeLineage(folder, server, ['ours.example.test', 'also.example.test']);
		const listed = await runCertbot(folder.path, server.ca, 'certificates');
		expect(listed).toMatch(/Certificate Name: ours\.example\.test/);
		expect(listed).toMatch(/Domains: ours\.example\.test also\.example\.test/);
		const before = (await lineage.read()).certificate.serialNumber;
		for (const version of [2, 3]) {
			await runCertbot(folder.path, server.ca, 'renew', '--force-renewal', '--no-random-sleep-on-renew');
			const again = await Lineage.open(folder, 'ours.example.test');
			expect(await again.currentVersion()).toBe(version);
		}
		const again = await Lineage.open(folder, 'ours.example.test');
		expect((await again.read()).certificate.serialNumber).not.toBe(before);
		// And ours once more, over what certbot made of the links.
		const files = await obtainFor(server, ['ours.example.test'], AccountKey.generate());
		expect(await again.add(files)).toBe(4);
		expect(await runCertbot(folder.path, server.ca, 'certificates')).toMatch(
			/Domains: ours\.example\.test\n/,
		);
	});

	test('gatepass lists, reads and renews what certbot made, with its account', async () => {
		const [server, folder] = [await pebbleFor({nonceReject: 0}), await newFolder()];
		await runCertbot(
			folder.path,
			server.ca,
			...['certonly', '--agree-tos', '-m', 'a@example.org', '--server', server.directoryUrl, '--standalone'],
			...[
				'--http-01-port',
				String(server.httpPort),
				'--http-01-address',
				'127.0.0.1',
				'-d',
				'theirs.example.test',
			],
			...['--deploy-hook', 'echo "a, b"'],
		);
		expect(await folder.names()).toEqual(['theirs.example.test']);
		const lineage = await Lineage.open(folder, 'theirs.example.test');
		const {certificate} = await lineage.read();
		expect(domainsOf(certificate)).toEqual(['theirs.example.test']);
		expect(lineage.configuration.text(['renewalparams'], 'renew_hook')).toBe('echo "a, b"');
		const account = await new StoredAccounts(folder, server.directoryUrl).find(
			lineage.configuration.text(['renewalparams'], 'account'),
		);
		const found = await findAccount(connectTo(server), new AccountKey(account?.key as never));
		expect(found?.accountUrl).toMatch(/my-account/);
		const files = await obtainFor(server, ['theirs.example.test'], new AccountKey(account?.key as never));
		expect(await lineage.add(files)).toBe(2);
		expect((await lstat(folder.live('theirs.example.test'))).isSymbolicLink()).toBe(true);
		expect(await runCertbot(folder.path, server.ca, 'certificates')).toMatch(/Certificate Name: theirs/);
		await runCertbot(folder.path, server.ca, 'renew', '--force-renewal', '--no-random-sleep-on-renew');
		expect(await lineage.currentVersion()).toBe(3);
		// No second account came of it.
		expect(await new StoredAccounts(folder, server.directoryUrl).list()).toHaveLength(1);
		await lineage.delete();
		expect(await readdir(join(folder.path, 'keys'))).toEqual([]);
		expect(await runCertbot(folder.path, server.ca, 'certificates')).toMatch(/No certificates found/);
	});

	/** Each way to lock, as the machine has koffi or has it not. */
	test.each(['koffi', 'Python'])('neither changes the folder while the other does, by %s', async way => {
		const found = vi.spyOn(nativeLock, 'findLockCall');
		onTestFinished(() => found.mockRestore());
		if (way === 'Python') found.mockResolvedValue(undefined);
		else expect(await nativeLock.findLockCall()).toBeDefined();
		const [server, folder] = [await pebbleFor(), await newFolder()];
		await withLock(folder.path, async () => {
			await expect(runCertbot(folder.path, server.ca, 'certificates')).rejects.toThrow(
				/Another instance of Certbot/,
			);
			// Reading the file would have ended a record lock.
			await readFile(join(folder.path, '.certbot.lock'));
			await expect(runCertbot(folder.path, server.ca, 'certificates')).rejects.toThrow(
				/Another instance of Certbot/,
			);
			await expect(withLock(folder.path, async () => {})).rejects.toThrow(/Another program is changing/);
		});
		await runCertbot(folder.path, server.ca, 'certificates');
		await withLock(folder.path, async () => {});
		const holder = spawn('/usr/bin/python3', [
			'-c',
			'import sys; from certbot._internal import lock; lock.lock_dir(sys.argv[1]); print("has it", flush=True); sys.stdin.read()',
			folder.path,
		]);
		await once(holder.stdout, 'data');
		await expect(withLock(folder.path, async () => {})).rejects.toThrow(/Another program is changing/);
		holder.stdin.end();
		await once(holder, 'close');
		await withLock(folder.path, async () => {});
	});
});

describe('a lineage', () => {
	async function pair(name: string): Promise<VersionFiles> {
		const authority = await createTestAuthority();
		onTestFinished(() => authority.close());
		const {certificate, key} = await authority.issue('leaf', {subject: `CN=${name}`, hosts: [name]});
		const text = await readFile(certificate, 'utf8');
		const [leaf = ''] = text.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n?/g) ?? [];
		const chain = await readFile(authority.ca, 'utf8');
		return {cert: leaf, chain, fullchain: leaf + chain, privkey: await readFile(key, 'utf8')};
	}

	test('has the layout and the rights of certbot', async () => {
		const folder = await newFolder();
		const files = await pair('a.example.test');
		const lineage = await Lineage.create(folder, 'a.example.test', files, {authenticator: 'standalone'});
		expect(await lineage.currentVersion()).toBe(1);
		expect(await readlink(folder.live('a.example.test'))).toBe('.a.example.test.1');
		const place = join(folder.path, 'live/.a.example.test.1');
		expect(await readlink(join(place, 'privkey.pem'))).toBe('../../archive/a.example.test/privkey1.pem');
		const mode = async (file: string): Promise<number> => (await stat(file)).mode & 0o777;
		expect(await mode(lineage.paths.privkey)).toBe(0o600);
		expect(await mode(lineage.paths.cert)).toBe(0o644);
		expect(await readFile(lineage.paths.fullchain, 'utf8')).toBe(files.fullchain);
	});

	test('is never written over', async () => {
		const folder = await newFolder();
		const files = await pair('a.example.test');
		await Lineage.create(folder, 'a.example.test', files, {});
		await expect(Lineage.create(folder, 'a.example.test', files, {})).rejects.toThrow(/is there already/);
		expect(await Lineage.freeName(folder, 'a.example.test')).toBe('a.example.test-0001');
	});

	test('keeps the group and the bits of its key', async () => {
		const folder = await newFolder();
		const lineage = await Lineage.create(folder, 'a.example.test', await pair('a.example.test'), {});
		await chmod(join(folder.archive('a.example.test'), 'privkey1.pem'), 0o640);
		const isRoot = process.getuid?.() === 0;
		if (isRoot) await chown(join(folder.archive('a.example.test'), 'privkey1.pem'), 0, 33);
		await lineage.add(await pair('a.example.test'));
		const {mode, gid} = await stat(lineage.paths.privkey);
		expect(mode & 0o777).toBe(0o640);
		if (isRoot) expect(gid).toBe(33);
	});

	test('a certificate for another key is not put into use', async () => {
		const folder = await newFolder();
		const files = await pair('a.example.test');
		const lineage = await Lineage.create(folder, 'a.example.test', files, {});
		const {privkey} = await pair('b.example.test');
		await expect(lineage.add({...files, privkey})).rejects.toThrow(/not for the new key/);
		expect(await lineage.currentVersion()).toBe(1);
	});

	test('readers see one version or the other, and never a mixture', async () => {
		const folder = await newFolder();
		const pairs = [await pair('a.example.test'), await pair('a.example.test')];
		const lineage = await Lineage.create(folder, 'a.example.test', pairs[0] as VersionFiles, {});
		const child = spawn(process.execPath, [
			'-e',
			`const {readFileSync} = require('fs'); const {X509Certificate, createPrivateKey} = require('crypto');
			const [live] = process.argv.slice(1); let mixed = 0, missing = 0, reads = 0;
			process.stdin.on('data', () => { console.log(JSON.stringify({mixed, missing, reads})); process.exit(); });
			const {openSync, realpathSync} = require('fs');
			(function look() {
				for (let i = 0; i < 50; i++) {
					try {
						const folder = realpathSync(live); reads++;
						const cert = new X509Certificate(readFileSync(folder + '/cert.pem'));
						if (!cert.checkPrivateKey(createPrivateKey(readFileSync(folder + '/privkey.pem')))) mixed++;
					} catch { missing++; }
				}
				console.log('looked');
				setImmediate(look);
			})();`,
			folder.live('a.example.test'),
		]);
		let said = '';
		child.stdout.on('data', data => {
			said += data;
		});
		const looks = (): number => said.split('looked').length - 1;
		await once(child.stdout, 'data');
		// As many as the reader needs to look in between.
		for (let turn = 1; turn <= 40 || looks() < 3; turn++) await lineage.add(pairs[turn % 2] as VersionFiles);
		child.stdin.write('end\n');
		await once(child, 'close');
		const {mixed, missing, reads} = JSON.parse(said.split('\n').at(-2) ?? '');
		expect(reads).toBeGreaterThanOrEqual(150);
		expect({mixed, missing}).toEqual({mixed: 0, missing: 0});
	});

	test('links that are broken or lead to different versions are told, not followed', async () => {
		const folder = await newFolder();
		const lineage = await Lineage.create(folder, 'a.example.test', await pair('a.example.test'), {});
		await lineage.add(await pair('a.example.test'));
		const links = join(folder.path, 'live/.a.example.test.2');
		await rm(join(links, 'privkey.pem'));
		await expect(lineage.currentVersion()).rejects.toThrow(/privkey\.pem broken/);
		await lineage.use(1);
		expect(await lineage.currentVersion()).toBe(1);
		expect(await lineage.versions()).toEqual([1, 2]);
	});

	test('what is left of one that was half deleted is cleared away', async () => {
		const folder = await newFolder();
		const lineage = await Lineage.create(folder, 'a.example.test', await pair('a.example.test'), {});
		await rm(join(folder.path, 'live/.a.example.test.1'), {recursive: true});
		await rm(folder.configuration('a.example.test'));
		await rm(folder.archive('a.example.test'), {recursive: true});
		await Lineage.create(folder, 'a.example.test', await pair('a.example.test'), {});
		await lineage.delete();
		expect(existsSync(folder.live('a.example.test'))).toBe(false);
	});

	test.each(['../x', '', '.hidden', 'a/b', '-option', 'two\nlines'])(
		"the name '%s' is refused",
		async name => {
			const folder = await newFolder();
			await expect(Lineage.open(folder, name)).rejects.toThrow(/cannot be the name/);
		},
	);

	test('one that is not there is told with those that are', async () => {
		const folder = await newFolder();
		await writeFile(folder.configuration('b.example.test'), '');
		await expect(Lineage.open(folder, 'a.example.test')).rejects.toThrow(
			/There is no certificate 'a\.example\.test' .*There are b\.example\.test/,
		);
	});
});
