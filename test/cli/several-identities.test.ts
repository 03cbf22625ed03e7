/** Files with several identities, as keytool and Windows keep them: which one is taken, and how another is named. */
import {execFile} from 'node:child_process';
import {X509Certificate} from 'node:crypto';
import {chmodSync, readFileSync, writeFileSync} from 'node:fs';
import {promisify} from 'node:util';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {readIdentity} from '../../src/identities/read-identity.ts';
import {createGatepass} from '../../src/index.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {keytool} from '../servers/key-tools.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

const passphrase = 'canary hunter2';

describeWith([opensslServer, keytool], 'several identities in one file', () => {
	let pki: GridPki;
	let workspace: Workspace;
	/** PKCS#12 by keytool, and what openssl makes of it. */
	let files: {pkcs12: string; pem: string};

	beforeAll(async () => {
		pki = await createGridPki();
		const dates = ['-startdate', '20200101000000Z', '-enddate', '20210301120000Z'];
		await sign('expired', 'ecdsa', 'alice.ext', dates);
		await sign('sooner', 'ed25519', 'alice.ext', ['-days', '3']);
		await sign('later', 'alice', 'alice.ext', ['-days', '8']);
		const forMail = readFileSync(`${pki.folder}/alice.ext`, 'utf8').replace(
			'=clientAuth',
			'=emailProtection',
		);
		writeFileSync(`${pki.folder}/mail.ext`, forMail);
		await sign('mail', 'robot', 'mail.ext', ['-days', '9']);
		// keytool takes no Ed25519 key, so the one that ends sooner has another one.
		await pki.openssl('genpkey', '-algorithm', 'RSA', '-out', 'sooner.key');
		await pki.openssl(
			'req',
			'-new',
			'-key',
			'sooner.key',
			'-subj',
			'/DC=org/CN=sooner',
			'-out',
			'sooner.csr',
		);
		await sign('sooner', 'sooner', 'alice.ext', ['-days', '3']);
		for (const [alias, key] of [
			['expired', 'ecdsa'],
			['sooner', 'sooner'],
			['mail', 'robot'],
			['later', 'alice'],
		] as const) {
			await pki.openssl(
				...['pkcs12', '-export', '-in', `${alias}.pem`, '-inkey', `${key}.key`, '-name', alias],
				...['-passout', `pass:${passphrase}`, '-out', `${alias}.p12`],
			);
			await promisify(execFile)(
				findProgram('keytool') as string,
				[
					...['-importkeystore', '-noprompt', '-srckeystore', `${alias}.p12`, '-srcstoretype', 'PKCS12'],
					...['-srcstorepass', passphrase, '-destkeystore', 'all.p12', '-deststoretype', 'PKCS12'],
					...['-deststorepass', passphrase],
				],
				{cwd: pki.folder},
			);
		}
		const parameters = ['-in', 'all.p12', '-passin', `pass:${passphrase}`, '-nodes', '-out', 'all.pem'];
		await pki.openssl('pkcs12', ...parameters);
		files = {pkcs12: `${pki.folder}/all.p12`, pem: `${pki.folder}/all.pem`};
		for (const file of Object.values(files)) chmodSync(file, 0o600);
	});
	afterAll(() => pki.close());
	beforeEach(async () => {
		workspace = await createWorkspace();
		await workspace.write('secret', passphrase);
	});
	afterEach(() => workspace.close());

	async function sign(name: string, of: string, extensions: string, dates: readonly string[]): Promise<void> {
		await pki.openssl(
			...['ca', '-batch', '-notext', '-config', 'ca.cnf', '-keyfile', 'grid.key', '-cert', 'grid.pem'],
			...['-in', `${of}.csr`, '-extfile', extensions, '-out', `${name}.pem`, ...dates],
		);
	}

	const certificate = (name: string): X509Certificate =>
		new X509Certificate(readFileSync(`${pki.folder}/${name}.pem`));
	const thumbprintOf = (name: string): string =>
		certificate(name).fingerprint256.replaceAll(':', '').toLowerCase();

	describe.each(['pkcs12', 'pem'] as const)('%s', form => {
		const read = (selection: {alias?: string; thumbprint?: string}) => {
			const file = files[form];
			const kind = form === 'pkcs12' ? 'pkcs12' : 'pair';
			return readIdentity({
				kind,
				certificate: file,
				key: file,
				passphrase,
				namedBy: 'the test',
				...selection,
			});
		};

		test('the latest of those that are valid and for clients is taken', async () => {
			expect((await read({})).thumbprint).toBe(thumbprintOf('later'));
		});

		test('an alias chooses, in whatever case', async () => {
			expect((await read({alias: 'sooner'})).thumbprint).toBe(thumbprintOf('sooner'));
			expect((await read({alias: 'MAIL'})).thumbprint).toBe(thumbprintOf('mail'));
			await expect(read({alias: 'expired'})).rejects.toThrow(/ expired on 2021-03-01/);
		});

		test('a thumbprint chooses, in each of its forms', async () => {
			const {fingerprint, fingerprint256} = certificate('sooner');
			for (const thumbprint of [
				fingerprint,
				fingerprint256,
				fingerprint256.toLowerCase().replaceAll(':', ''),
			]) {
				expect((await read({thumbprint})).thumbprint).toBe(thumbprintOf('sooner'));
			}
			await expect(read({alias: 'later', thumbprint: fingerprint})).rejects.toThrow(/holds no identity with/);
		});

		test('what is not there is told with what is', async () => {
			const name = /^(?:The PKCS#12 file )?\S+ holds no identity with the alias 'nobody', but /;
			const error: Error = await read({alias: 'nobody'}).then(
				() => new Error('It was taken'),
				error => error,
			);
			expect(error).toMatchObject({code: 'ERR_GATEPASS_CERTIFICATE', message: expect.stringMatching(name)});
			for (const alias of ['expired', 'sooner', 'mail', 'later']) {
				expect(error.message).toMatch(new RegExp(`${alias} \\(CN=[^)]*, until 20\\d\\d-\\d\\d-\\d\\d\\)`));
			}
		});

		test('the options of a rule choose', async () => {
			const place =
				form === 'pkcs12' ? {pkcs12: files.pkcs12, passphrase} : {certificate: files.pem, key: files.pem};
			const rule = (host: string, more: object) => ({
				match: host,
				strategy: 'grid-certificate',
				options: {...place, ...more},
			});
			await using gatepass = await createGatepass({
				env: {HOME: pki.folder},
				config: {
					cache: {url: 'memory:'},
					hostRules: [
						rule('a.example.org', {}),
						rule('b.example.org', {alias: 'sooner'}),
						rule('c.example.org', {thumbprint: certificate('mail').fingerprint}),
					],
				} as never,
			});
			const statuses = await gatepass.status();
			const ends = ['later', 'sooner', 'mail'].map(name => certificate(name).validToDate.getTime());
			expect(statuses.map(({expiresAt}) => expiresAt)).toEqual(ends);
		});

		test('cert inspect shows which, and the others', async () => {
			const inspect = (...more: string[]) =>
				workspace.run(['cert', 'inspect', files[form], '--passphrase-file', 'secret', ...more]);
			const {stdout} = await inspect();
			expect(stdout).toMatch(/alias +later/);
			expect(stdout).toMatch(/also here +\w+: CN=/);
			const chosen = JSON.parse((await inspect('--json', '--alias', 'sooner')).stdout);
			expect(chosen).toMatchObject({alias: 'sooner', thumbprint: thumbprintOf('sooner')});
			const names = chosen.otherIdentities.map(({alias}: {alias: string}) => alias);
			expect(names.toSorted()).toEqual(['expired', 'later', 'mail']);
		});
	});

	test('cert import says which, and takes another one that is named', async () => {
		const importing = (...more: string[]) =>
			workspace.run(['cert', 'import', files.pkcs12, '--passphrase-file', 'secret', ...more]);
		const {stdout} = await importing('--to', 'a');
		expect(stdout).toMatch(/imported CN=alice,/);
		expect(stdout).toMatch(/alias +later/);
		for (const alias of ['expired', 'sooner', 'mail']) expect(stdout).toContain(`${alias} (CN=`);
		const written = new X509Certificate(readFileSync(workspace.path('a/usercert.pem')));
		expect(written.fingerprint256).toBe(certificate('later').fingerprint256);
		const other = JSON.parse((await importing('--to', 'b', '--alias', 'sooner', '--json')).stdout);
		expect(other).toMatchObject({alias: 'sooner', others: expect.arrayContaining([expect.anything()])});
		const third = await importing('--to', 'c', '--alias', 'nobody');
		expect(third.code).toBe(1);
		expect(third.stderr).toContain("no identity with the alias 'nobody'");
	});

	test('a thumbprint that is none is a mistake of the configuration', async () => {
		await workspace.configure({
			hostRules: [
				{match: 'h.example.org', strategy: 'grid-certificate', options: {pkcs12: 'x.p12', thumbprint: 'abc'}},
			],
		} as never);
		const {code, stderr} = await workspace.run(['status']);
		expect(code).toBe(3);
		expect(stderr).toContain('is no SHA-256 or SHA-1 in hexadecimal digits');
	});
});
