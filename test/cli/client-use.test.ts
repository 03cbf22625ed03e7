/**
 * A certificate that is not meant for clients, as public authorities issue them since 2026, and one that is too weak: reading
 * it, status, doctor, inspect, import, the log and the explanation of a real server's refusal all say the same.
 */
import {readFileSync, writeFileSync} from 'node:fs';
import {afterAll, afterEach, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import {createGatepass} from '../../src/index.ts';
import {type ApacheMtls, apache, startApacheWith, type TlsVersion} from '../servers/apache.ts';
import {describeWith} from '../servers/availability.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {type Nginx, nginx, startNginx} from '../servers/nginx.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

const versions: readonly TlsVersion[] = ['TLSv1.3', 'TLSv1.2'];

describeWith([apache, nginx], 'what a certificate is for', () => {
	let pki: GridPki;
	/** `apache` has no certificate of the CA below the root: what is sent counts. */
	let servers: {apache: ApacheMtls; nginx: Nginx};
	let workspace: Workspace;

	beforeAll(async () => {
		pki = await createGridPki();
		servers = {
			apache: await startApacheWith({...pki, ca: `${pki.folder}/root.pem`}),
			nginx: await startNginx(pki),
		};
		const alice = readFileSync(`${pki.folder}/alice.ext`, 'utf8');
		writeFileSync(`${pki.folder}/server.ext`, alice.replace('=clientAuth', '=serverAuth'));
		await sign('server-only', 'alice', 'grid', 'server.ext');
		// A CA that may vouch for servers only, and one of its certificates.
		const authority = readFileSync(`${pki.folder}/grid.ext`, 'utf8');
		writeFileSync(`${pki.folder}/limited.ext`, `${authority}\nextendedKeyUsage=serverAuth\n`);
		await sign('limited', 'grid', 'root', 'limited.ext');
		await request('weak', ['-newkey', 'rsa:1024', '-nodes', '-keyout', 'weak.key']);
		await sign('weak', 'weak', 'grid', 'alice.ext');
		const both =
			readFileSync(`${pki.folder}/alice.pem`, 'utf8') + readFileSync(`${pki.folder}/limited.pem`, 'utf8');
		writeFileSync(`${pki.folder}/below-limited.pem`, both);
		for (const [name, key] of [
			['server-only', 'alice'],
			['weak', 'weak'],
			['below-limited', 'alice'],
		]) {
			await pki.openssl(
				...['pkcs12', '-export', '-in', `${name}.pem`, '-inkey', `${key}.key`, '-passout', 'pass:'],
				...['-out', `${name}.p12`],
			);
		}
	});
	afterAll(async () => {
		await Promise.all([servers?.apache.close(), servers?.nginx.close()]);
		await pki?.close();
	});
	beforeEach(async () => {
		workspace = await createWorkspace();
	});
	afterEach(() => workspace.close());

	async function request(name: string, key: readonly string[]): Promise<void> {
		await pki.openssl('req', ...key, '-subj', '/DC=org/DC=gatepass/CN=x', '-out', `${name}.csr`);
	}

	async function sign(name: string, of: string, by: string, extensions: string): Promise<void> {
		await pki.openssl(
			...['ca', '-batch', '-notext', '-config', 'ca.cnf', '-keyfile', `${by}.key`, '-cert', `${by}.pem`],
			...['-in', `${of}.csr`, '-extfile', extensions, '-out', `${name}.pem`],
		);
	}

	const cases = [
		{
			name: 'server-only',
			key: 'alice',
			says: /The certificate \S+ is not meant for clients: its extended key usage has serverAuth, but not clientAuth, so servers refuse it\. To get one with clientAuth, ask the authority that the server trusts for its clients; public authorities issue no such ones any more/,
		},
		{
			name: 'below-limited',
			key: 'alice',
			says: /The certificate of CN=Gatepass Grid CA,DC=gatepass,DC=org in the chain of \S+ vouches for no clients: its extended key usage has serverAuth, but not clientAuth, so servers that have no other one refuse what it issued\./,
		},
		{
			name: 'weak',
			key: 'weak',
			says: /The certificate \S+ has an RSA key of 1024 bits, which OpenSSL \S+ (?:of this Node|of other servers) refuses\. Have one issued for a key of RSA with 2048 bits or more, or of ECDSA with P-256/,
		},
	];
	/** What was printed, as if no line had been wrapped; doctor puts the hint on a line of its own. */
	const unwrapped = (text: string): string =>
		text.replace(/\s+/g, ' ').replaceAll(' → ', '. ').replaceAll('..', '.');

	describe.each(cases)('$name', ({name, key, says}) => {
		beforeEach(async () => {
			await workspace.write('my/usercert.pem', readFileSync(`${pki.folder}/${name}.pem`, 'utf8'));
			await workspace.write('my/userkey.pem', readFileSync(`${pki.folder}/${key}.key`, 'utf8'));
			const match = Object.values({...servers.apache.urls, nginx: servers.nginx.urls['TLSv1.3']});
			await workspace.configure({
				cache: {url: 'memory:'},
				trust: [{match, ca: pki.ca, only: true}],
				hostRules: [{match, strategy: 'grid-certificate', options: {directory: 'my'}}],
			});
		});

		test.each([
			['status', ['status']],
			['doctor', ['doctor']],
			['inspect', ['cert', 'inspect', 'my']],
			['import', ['cert', 'import', '%', '--to', 'imported']],
		])('%s', async (_, parameters) => {
			const p12 = `${pki.folder}/${name}.p12`;
			const {stdout} = await workspace.run(parameters.map(one => (one === '%' ? p12 : one)));
			expect(unwrapped(stdout)).toMatch(says);
			expect(stdout).not.toContain('All is well');
		});

		test.each(versions)('the error at Apache, over %s', async version => {
			const {code, stderr} = await workspace.run(['request', servers.apache.urls[version]]);
			expect(code).toBe(1);
			expect(unwrapped(stderr)).toMatch(says);
		});
	});

	test('nginx answers with a page, so the log has it', async () => {
		const heard: unknown[] = [];
		const quiet = (): void => {};
		const logger = {debug: quiet, info: quiet, warn: (fields: unknown) => heard.push(fields)};
		const url = servers.nginx.urls['TLSv1.3'];
		const directory = `${workspace.folder}/my`;
		await workspace.write('my/usercert.pem', readFileSync(`${pki.folder}/server-only.pem`, 'utf8'));
		await workspace.write('my/userkey.pem', readFileSync(`${pki.folder}/alice.key`, 'utf8'));
		await using gatepass = await createGatepass({
			env: {HOME: workspace.folder},
			config: {
				cache: {url: 'memory:'},
				trust: [{match: url, ca: pki.ca, only: true}],
				hostRules: [{match: url, strategy: 'grid-certificate', options: {directory}}],
			},
			logger,
		});
		for (let count = 1; count <= 2; count++) {
			const {statusCode, body} = await gatepass.got(url, {throwHttpErrors: false});
			expect(statusCode).toBe(400);
			expect(body).toContain('The SSL certificate error');
		}
		expect(heard).toEqual([
			expect.objectContaining({
				file: `${directory}/usercert.pem`,
				warnings: [expect.stringMatching(cases[0]?.says as RegExp)],
			}),
		]);
	});
});
