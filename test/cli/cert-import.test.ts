/** `gatepass cert import`: two files out of a PKCS#12 file, as cernrequests' manual has openssl make them. */
import {execFileSync} from 'node:child_process';
import {createPrivateKey, X509Certificate} from 'node:crypto';
import {chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {writeFile} from 'node:fs/promises';
import {afterAll, afterEach, beforeAll, beforeEach, expect, test} from 'vitest';
import {describeWith, findProgram} from '../servers/availability.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {opensslServer} from '../servers/openssl-server.ts';
import {createWorkspace, type Outcome, type Workspace} from './command-line.ts';

const passphrase = 'canary hunter2';

describeWith(opensslServer, 'cert import', () => {
	let pki: GridPki;
	let workspace: Workspace;

	beforeAll(async () => {
		pki = await createGridPki();
		for (const user of ['alice', 'robot'] as const) {
			await pki.openssl(
				...['pkcs12', '-export', '-legacy', '-in', `${user}.pem`, '-inkey', `${user}.key`, '-chain'],
				...['-CAfile', 'ca.pem', '-passout', `pass:${passphrase}`, '-out', `${user}.p12`],
			);
		}
		await pki.openssl(
			...[
				'pkcs12',
				'-export',
				'-in',
				'ecdsa.pem',
				'-inkey',
				'ecdsa.key',
				'-passout',
				'pass:',
				'-out',
				'open.p12',
			],
		);
	});
	afterAll(() => pki.close());
	beforeEach(async () => {
		workspace = await createWorkspace();
		await workspace.write('secret', `${passphrase}\n`);
	});
	afterEach(() => workspace.close());

	const p12 = (user: string): string => `${pki.folder}/${user}.p12`;
	const importing = (user: string, ...more: string[]): Promise<Outcome> =>
		workspace.run(['cert', 'import', p12(user), '--passphrase-file', 'secret', ...more]);
	const modeOf = (name: string): string => (statSync(workspace.path(name)).mode & 0o777).toString(8);
	const read = (name: string): string => readFileSync(workspace.path(name), 'utf8');

	test('writes certificate, chain and key, for their owner only', async () => {
		const {code, stdout, stderr} = await importing('alice');
		expect({code, stderr}).toEqual({code: 0, stderr: ''});
		expect(stdout).toContain('imported CN=alice,OU=Users,DC=gatepass,DC=org, until ');
		expect([modeOf('.globus'), modeOf('.globus/usercert.pem'), modeOf('.globus/userkey.pem')]).toEqual([
			'700',
			'644',
			'600',
		]);
		const certificates = read('.globus/usercert.pem')
			.split(/(?=-----BEGIN)/)
			.map(text => new X509Certificate(text));
		const original = new X509Certificate(readFileSync(pki.users.alice.certificate));
		expect(certificates.map(({subject}) => subject.split('\n').at(-1))).toEqual([
			'CN=alice',
			'CN=Gatepass Grid CA',
		]);
		expect(certificates[0]?.fingerprint256).toBe(original.fingerprint256);
		const key = createPrivateKey(read('.globus/userkey.pem'));
		expect(key.equals(createPrivateKey(readFileSync(pki.users.alice.key)))).toBe(true);
		expect(readdirSync(workspace.path('.globus'))).toHaveLength(2);
	});

	test('what it wrote is what grid-certificate finds, and what cert list shows', async () => {
		await importing('robot', '--to', 'robots/monit');
		const inspected = JSON.parse((await workspace.run(['cert', 'inspect', 'robots/monit', '--json'])).stdout);
		expect(inspected).toMatchObject({kind: 'robot', problems: []});
		expect((await workspace.run(['cert', 'list'])).stdout).toContain('robots/monit');
	});

	test('never over what is there, without --force', async () => {
		await workspace.write('.globus/usercert.pem', 'mine');
		const {code, stderr} = await importing('alice');
		expect(code).toBe(1);
		expect(stderr).toContain(
			`usercert.pem is in ${workspace.path('.globus')} already. Give --force to replace what is there`,
		);
		expect(readdirSync(workspace.path('.globus'))).toEqual(['usercert.pem']);
		expect(read('.globus/usercert.pem')).toBe('mine');
	});

	test('with --force, keeps what was there', async () => {
		await importing('alice');
		const before = [read('.globus/usercert.pem'), read('.globus/userkey.pem')];
		const {code, stdout} = await importing('robot', '--force', '--json');
		expect(code).toBe(0);
		const result = JSON.parse(stdout);
		expect(result).toMatchObject({
			certificate: workspace.path('.globus/usercert.pem'),
			key: workspace.path('.globus/userkey.pem'),
			kind: 'robot',
			subject: 'CN=Robot: monit,OU=Robots,DC=gatepass,DC=org',
			notAfter: expect.any(Number),
			warnings: [],
		});
		expect(result.backups.map((file: string) => readFileSync(file, 'utf8'))).toEqual(before);
		expect(result.backups.map((file: string) => statSync(file).mode & 0o777)).toEqual([0o644, 0o600]);
		expect(new X509Certificate(read('.globus/usercert.pem')).subject).toContain('CN=Robot: monit');
		expect(readdirSync(workspace.path('.globus'))).toHaveLength(4);
	});

	test('into a folder that cert install looks after, as one version more', async () => {
		await importing('alice');
		const folder = workspace.path('.globus');
		const {IdentityFolder} = await import('../../src/lineages/folder.ts');
		const managed = new IdentityFolder(folder);
		await managed.prepare();
		await managed.adopt();
		expect((await importing('robot')).code).toBe(1);
		expect((await importing('robot', '--force')).code).toBe(0);
		expect(new X509Certificate(read('.globus/usercert.pem')).subject).toContain('CN=Robot: monit');
		expect([modeOf('.globus/usercert.pem'), modeOf('.globus/userkey.pem')]).toEqual(['644', '600']);
		const back = await workspace.run(['cert', 'install', '--rollback']);
		expect(back).toMatchObject({code: 0, stderr: ''});
		expect(new X509Certificate(read('.globus/usercert.pem')).subject).toContain('CN=alice');
	});

	test('one without a passphrase asks for none', async () => {
		expect((await workspace.run(['cert', 'import', p12('open')])).code).toBe(0);
		expect(createPrivateKey(read('.globus/userkey.pem')).asymmetricKeyType).toBe('ec');
	});

	test('the passphrase may come through a pipe', async () => {
		execFileSync('mkfifo', [workspace.path('pipe')]);
		const [{code, stderr}] = await Promise.all([
			workspace.run(['cert', 'import', p12('alice'), '--passphrase-file', 'pipe']),
			writeFile(workspace.path('pipe'), `${passphrase}\n`),
		]);
		expect({code, stderr}).toEqual({code: 0, stderr: ''});
	});

	test('the folder that is there keeps its rights, and no mask changes those of the files', async () => {
		mkdirSync(workspace.path('.globus'));
		chmodSync(workspace.path('.globus'), 0o755);
		const mask = process.umask(0o077);
		try {
			await importing('alice');
		} finally {
			process.umask(mask);
		}
		expect([modeOf('.globus'), modeOf('.globus/usercert.pem'), modeOf('.globus/userkey.pem')]).toEqual([
			'755',
			'644',
			'600',
		]);
	});

	test.each<[string, (args: string[]) => string[], RegExp, number]>([
		[
			'no passphrase, and nobody to ask',
			([command, name, file]) => [command, name, file] as string[],
			/alice\.p12 is encrypted, and nobody is there to type its passphrase\. Give a file that holds it with --passphrase-file/,
			2,
		],
		[
			'a file without PKCS#12',
			([command, name]) => [command, name, 'secret'] as string[],
			/secret is not a PKCS#12 file\. It should be/,
			1,
		],
		[
			'a file that is not there',
			([command, name]) => [command, name, 'none.p12'] as string[],
			/There is no file .*none\.p12/,
			1,
		],
		[
			'a file in the place of the folder',
			args => [...args, '--to', 'secret'],
			/secret is not a folder\. Name another one with --to/,
			1,
		],
		[
			'a passphrase file that is not there',
			args => args.map(arg => (arg === 'secret' ? 'none' : arg)),
			/The passphrase file .*none cannot be read \(ENOENT\)\. Name one that is there/,
			1,
		],
	])('%s', async (_, change, message, expected) => {
		const {code, stderr} = await workspace.run(
			change(['cert', 'import', p12('alice'), '--passphrase-file', 'secret']),
		);
		expect(stderr).toMatch(message);
		expect(code).toBe(expected);
		expect(stderr).not.toContain('canary');
		expect(() => statSync(workspace.path('.globus'))).toThrow();
	});

	test.skipIf(process.geteuid?.() !== 0)('not by root into a folder of somebody else', async () => {
		mkdirSync(workspace.path('.globus'));
		chownSync(workspace.path('.globus'), 4242, 4242);
		const {code, stderr} = await importing('alice');
		expect(stderr).toContain(`${workspace.path('.globus')} is owned by another user (4242; this one is 0)`);
		expect(code).toBe(1);
		expect(readdirSync(workspace.path('.globus'))).toEqual([]);
	});

	test('a wrong passphrase leaves nothing behind', async () => {
		writeFileSync(workspace.path('secret'), 'canary wrong');
		const {code, stderr} = await importing('alice');
		expect(code).toBe(1);
		expect(stderr).toMatch(/alice\.p12 does not open with the passphrase given\. Check the passphrase/);
		expect(stderr).not.toContain('canary');
		expect(() => statSync(workspace.path('.globus'))).toThrow();
	});

	test.skipIf(findProgram('script') === undefined)(
		'asks on a terminal, and does not show what is typed',
		async () => {
			const {code, stdout} = await workspace.runOnTerminal(['cert', 'import', p12('alice')], {
				answers: [['Passphrase of', `${passphrase}\r`]],
			});
			expect(code).toBe(0);
			expect(stdout).toContain('imported CN=alice');
			expect(stdout).not.toContain('canary');
			expect(modeOf('.globus/userkey.pem')).toBe('600');
		},
	);
});
