/** `gatepass cert inspect`: what a certificate is, and what is wrong with it. */
import {once} from 'node:events';
import {chmodSync, copyFileSync, mkdirSync, readFileSync} from 'node:fs';
import type {AddressInfo} from 'node:net';
import {createServer} from 'node:tls';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {type MtlsServer, startMtlsServer} from '../../src/testing/index.ts';
import {describeWith} from '../servers/availability.ts';
import {createGridPki, type GridPki} from '../servers/grid-pki.ts';
import {gridProxyTools, makeProxy} from '../servers/grid-proxies.ts';
import {type OpensslServer, opensslServer, startOpensslServer} from '../servers/openssl-server.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

const base = 'DC=gatepass,DC=org';

describeWith(opensslServer, 'cert inspect', () => {
	let pki: GridPki;
	let workspace: Workspace;

	beforeAll(async () => {
		pki = await createGridPki();
		workspace = await createWorkspace();
	});
	afterAll(async () => {
		await Promise.all([pki?.close(), workspace?.close()]);
	});

	/** The grid's CA folder is that of the test. */
	async function inspect(...args: string[]): Promise<Record<string, never> & {[name: string]: unknown}> {
		const env = {X509_CERT_DIR: pki.certificates};
		const {code, stdout, stderr} = await workspace.run(['cert', 'inspect', '--json', ...args], {env});
		expect({code, stderr}).toEqual({code: 0, stderr: ''});
		return JSON.parse(stdout);
	}

	test('the identity that is found', async () => {
		mkdirSync(workspace.path('.globus'), {recursive: true});
		copyFileSync(pki.users.alice.certificate, workspace.path('.globus/usercert.pem'));
		copyFileSync(pki.users.alice.key, workspace.path('.globus/userkey.pem'));
		expect(await inspect()).toMatchObject({
			source: workspace.path('.globus/usercert.pem'),
			kind: 'person',
			subject: `CN=alice,OU=Users,${base}`,
			gridName: '/DC=org/DC=gatepass/OU=Users/CN=alice',
			issuer: `CN=Gatepass Grid CA,${base}`,
			issuerGridName: '/DC=org/DC=gatepass/CN=Gatepass Grid CA',
			notBefore: expect.any(Number),
			notAfter: expect.any(Number),
			key: {
				type: 'rsa',
				bits: 2048,
				file: workspace.path('.globus/userkey.pem'),
				encrypted: false,
				mode: '0600',
			},
			chain: [],
			trust: {
				outcome: 'complete',
				trustedBy: [`the grid's CA folder ${pki.certificates}`],
				revocation: 'good',
			},
			problems: [],
		});
	});

	test('what a person sees', async () => {
		const {stdout} = await workspace.run(['cert', 'inspect', pki.users.robot.certificate]);
		for (const line of [
			/^✔ CN=Robot: monit,OU=Robots,DC=gatepass,DC=org$/m,
			/^ {2}grid name {2,}\/DC=org\/DC=gatepass\/OU=Robots\/CN=Robot: monit$/m,
			/^ {2}issuer {2,}CN=Gatepass Grid CA,DC=gatepass,DC=org$/m,
			/^ {2}kind {2,}robot$/m,
			/^ {2}valid {2,}from .* UTC \(.*\)\n {2,}until .* UTC \(in \d+ days\)$/m,
			/^ {2}key {2,}RSA, 2048 bits; the private key is elsewhere$/m,
			/^ {2}trusted by {2,}nobody here: its issuer is in no trust store, nor in the file$/m,
			/^ {2}revocation {2,}not known: there is no revocation list for it here$/m,
		]) {
			expect(stdout).toMatch(line);
		}
	});

	test('a revoked certificate', async () => {
		const inspected = await inspect(pki.users.revoked.certificate);
		expect(inspected.trust).toMatchObject({outcome: 'complete', revocation: 'revoked'});
		expect(inspected.problems).toEqual([expect.stringMatching(/revoked/i)]);
	});

	test('a certificate of which no trust store knows', async () => {
		expect((await inspect(pki.users.foreign.certificate)).trust).toEqual({
			outcome: 'incomplete',
			trustedBy: [],
			revocation: 'unknown',
		});
	});

	test('the trust stores of the configuration', async () => {
		const file = await workspace.write(
			'own.yaml',
			JSON.stringify({hostRules: [], trust: [{match: 'https://a.example', ca: `${pki.folder}/root.pem`}]}),
		);
		const {stdout} = await workspace.run(['cert', 'inspect', '--json', '-c', file, `${pki.folder}/grid.pem`]);
		expect(JSON.parse(stdout)).toMatchObject({
			isAuthority: true,
			trust: {outcome: 'complete', trustedBy: [expect.stringContaining(`trust in ${file}`)]},
			problems: [],
		});
	});

	test('a PKCS#12 file, with its passphrase', async () => {
		const file = workspace.path('my.p12');
		await pki.openssl(
			'pkcs12',
			'-export',
			'-in',
			'ecdsa.pem',
			'-inkey',
			'ecdsa.key',
			'-passout',
			'pass:canary',
			'-out',
			file,
		);
		chmodSync(file, 0o644);
		await workspace.write('secret', 'canary\n');
		const inspected = await inspect(file, '--passphrase-file', 'secret');
		expect(inspected).toMatchObject({
			subject: `CN=ecdsa,OU=Users,${base}`,
			key: {type: 'ec', curve: 'prime256v1', file, encrypted: true, mode: '0644'},
			problems: [
				expect.stringMatching(
					/^The key .*my\.p12 may be read or changed by others \(mode 0644\)\. Run 'chmod 600 /,
				),
			],
		});
		const {code, stderr} = await workspace.run(['cert', 'inspect', file]);
		expect({code, stderr}).toEqual({code: 2, stderr: expect.stringContaining('--passphrase-file')});
	});

	test('an encrypted key needs no passphrase to be looked at', async () => {
		mkdirSync(workspace.path('locked'));
		copyFileSync(pki.users.alice.certificate, workspace.path('locked/usercert.pem'));
		await pki.openssl(
			'pkcs8',
			'-topk8',
			'-in',
			'alice.key',
			'-passout',
			'pass:canary',
			'-out',
			workspace.path('locked/userkey.pem'),
		);
		chmodSync(workspace.path('locked/userkey.pem'), 0o600);
		expect(await inspect('locked')).toMatchObject({key: {encrypted: true, mode: '0600'}, problems: []});
	});

	test('an expired certificate, a self-signed one, a key of another', async () => {
		const ca = ['ca', '-batch', '-notext', '-config', 'ca.cnf', '-keyfile', 'grid.key', '-cert', 'grid.pem'];
		await pki.openssl(
			...[...ca, '-in', 'alice.csr', '-extfile', 'alice.ext', '-out', 'old.pem'],
			...['-startdate', '20200101000000Z', '-enddate', '20210301120000Z'],
		);
		expect((await inspect(`${pki.folder}/old.pem`)).problems).toEqual([
			`The certificate ${pki.folder}/old.pem expired on 2021-03-01. Renew it`,
		]);
		const own = ['-subj', '/CN=x', '-days', '2', '-addext', 'basicConstraints=CA:FALSE'];
		await pki.openssl('req', '-x509', '-key', 'alice.key', ...own, '-out', 'self.pem');
		expect((await inspect(`${pki.folder}/self.pem`)).problems).toEqual([
			expect.stringMatching(/is self-signed/),
		]);
		const both = await workspace.write(
			'both.pem',
			readFileSync(pki.users.alice.certificate, 'utf8') + readFileSync(pki.users.ecdsa.key, 'utf8'),
		);
		expect((await inspect(both)).problems).toEqual([
			expect.stringMatching(/The key in .*both\.pem does not belong to any certificate in it/),
		]);
	});

	describeWith(gridProxyTools, 'proxies', () => {
		test('a limited proxy of a robot', async () => {
			const file = await makeProxy(pki, 'limited', pki.users.robot, {limited: true});
			expect(await inspect(file)).toMatchObject({
				kind: 'proxy',
				proxy: {type: 'rfc3820', isLimited: true},
				holder: {kind: 'robot', subject: `CN=Robot: monit,OU=Robots,${base}`},
				chain: [{subject: `CN=Robot: monit,OU=Robots,${base}`}],
				trust: {outcome: 'complete', revocation: 'good'},
				problems: [],
			});
			const {stdout} = await workspace.run(['cert', 'inspect', file]);
			expect(stdout).toMatch(/kind {2,}proxy of the robot CN=Robot: monit/);
			expect(stdout).toMatch(/proxy {2,}RFC 3820, limited/);
		});
	});

	test.each(['TLSv1.3', 'TLSv1.2'] as const)(
		'a server that demands a client certificate, with %s',
		async version => {
			const server: OpensslServer = await startOpensslServer(pki, {version});
			try {
				const url = server.url.replace('127.0.0.1', 'localhost');
				const inspected = await inspect(url);
				expect(inspected).toMatchObject({
					kind: 'host',
					subject: `CN=localhost,OU=Hosts,${base}`,
					trust: {outcome: 'complete', trustedBy: [`the grid's CA folder ${pki.certificates}`]},
					problems: [
						`Requests to ${url.slice(0, -1)} fail: its chain does not lead to the system's and Node's roots. Name its CA under 'trust' in the configuration`,
					],
				});
			} finally {
				await server.close();
			}
		},
	);
});

test('a server that the configuration trusts, and one by a name that it does not have', async () => {
	const mtls: MtlsServer = await startMtlsServer();
	const workspace = await createWorkspace({hostRules: [], trust: [{match: mtls.url, ca: mtls.ca}]});
	try {
		const run = async (url: string) =>
			JSON.parse((await workspace.run(['cert', 'inspect', '--json', url])).stdout);
		expect(await run(mtls.url)).toMatchObject({source: mtls.url, kind: 'host', problems: []});
		const {certificate, key} = await mtls.authority.issue('other', {subject: 'CN=x', hosts: ['x.example']});
		const [cert, secret] = [certificate, key].map(file => readFileSync(file));
		const other = createServer({cert, key: secret}).listen(0, '127.0.0.1');
		await once(other, 'listening');
		const {port} = other.address() as AddressInfo;
		const {problems} = await run(`https://127.0.0.1:${port}/`);
		other.close();
		expect(problems).toContain(
			'Its certificate is not for 127.0.0.1. Use a name that it is for, or have it issued for this one',
		);
	} finally {
		await Promise.all([mtls.close(), workspace.close()]);
	}
});

test('nothing to look at', async () => {
	const workspace = await createWorkspace();
	try {
		for (const [args, message] of [
			[[], /There is no grid certificate/],
			[['none.pem'], /There is no file .*none\.pem/],
			[['http://localhost/'], /http:\/\/localhost shows no certificate: only https does/],
			[['https://127.0.0.1:1/'], /Nothing listens there/],
		] as const) {
			const {code, stdout, stderr} = await workspace.run(['cert', 'inspect', ...args]);
			expect(stderr).toMatch(message);
			expect({code, stdout}).toEqual({code: 1, stdout: ''});
		}
	} finally {
		await workspace.close();
	}
});
