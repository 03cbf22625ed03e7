/**
 * The life of a robot's certificate, through the command line as its operator would do it, with an authority that is
 * a program of its own: asked for, issued, used, renewed under a running gatepass, taken back, revoked.
 */
import {X509Certificate} from 'node:crypto';
import {readFileSync, statSync} from 'node:fs';
import {setTimeout as delay} from 'node:timers/promises';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {CertificateError, createGatepass, type Gatepass} from '../../src/index.ts';
import type {CertificateFiles} from '../../src/testing/authority.ts';
import {createWorkspace, type Workspace} from '../cli/command-line.ts';
import {describeWith, findProgram} from '../servers/availability.ts';
import {createCommandAuthority, type OpensslCommandAuthority} from '../servers/command-authority.ts';
import {
	type OpensslServer,
	opensslServer,
	startOpensslServer,
	subjectSeen,
} from '../servers/openssl-server.ts';

describeWith(opensslServer, 'the life of a robot certificate', () => {
	let workspace: Workspace;
	let authority: OpensslCommandAuthority;
	let own: CertificateFiles;
	let server: OpensslServer;
	/** Runs from the first certificate to the last, and is never restarted. */
	let gatepass: Gatepass;

	beforeAll(async () => {
		workspace = await createWorkspace();
		authority = await createCommandAuthority(findProgram('openssl') as string, workspace.path('ca'));
		own = await authority.authority.issue('server', '/CN=localhost', ['127.0.0.1']);
		server = await startServer();
		await workspace.write(
			'answers.yaml',
			'memberCategory: STAFF\nownsServiceAccount: true\nforwardsMail: true\nforSharing: false\nforAccount: false\n',
		);
	});
	afterAll(async () => {
		await gatepass?.close();
		await server?.close();
		await workspace?.close();
	});

	const startServer = (): Promise<OpensslServer> =>
		startOpensslServer({ca: authority.ca, crl: authority.crl, server: own}, {version: 'TLSv1.3'});

	/** One with a rule for the server, and `options` besides the folder. */
	const startGatepass = (options: {requireRobot?: boolean} = {}): Promise<Gatepass> =>
		createGatepass({
			cwd: workspace.folder,
			config: {
				cache: {url: 'memory:'},
				trust: [{match: '127.0.0.1:*', ca: authority.ca, only: true}],
				hostRules: [
					{
						match: '127.0.0.1:*',
						strategy: 'grid-certificate',
						options: {directory: workspace.path('identity'), ...options},
					},
				],
			},
		});

	/** Run a command to its end, and give back what it printed as JSON. */
	async function run(...args: string[]) {
		const {code, stdout, stderr} = await workspace.run([...args, '--to', 'identity', '--json']);
		return {code, ...JSON.parse(code === 0 ? stdout : stderr)};
	}
	const request = () =>
		run(
			...['cert', 'request', '--robot', '--service-account', 'cmsprod', '--checklist', 'answers.yaml'],
			...['--key-type', 'ecdsa', '--authority-command', authority.command],
		);
	const installed = (): X509Certificate =>
		new X509Certificate(readFileSync(workspace.path('identity/usercert.pem')));
	const subject = 'CN=Robot: cmsprod,OU=Users,DC=example,DC=org';

	/** What the server saw of the gatepass that runs all the time. */
	async function seen(): Promise<{subject: string | undefined; serialNumber: string | undefined}> {
		const page = await gatepass.got(server.url, {retry: {limit: 0}}).text();
		const serialNumber = /Serial Number:\s+([0-9a-f:]+)/.exec(page)?.[1]?.replaceAll(':', '').toUpperCase();
		return {subject: subjectSeen(page), serialNumber};
	}
	/** A replaced file is noticed within a second; until then the one before is shown, be it a revoked one. */
	async function untilSeen(certificate: X509Certificate): Promise<void> {
		const ifAccepted = (error: unknown) => {
			if (error instanceof CertificateError) return undefined;
			throw error;
		};
		while ((await seen().catch(ifAccepted))?.serialNumber !== certificate.serialNumber) await delay(100);
	}

	let first: X509Certificate;
	let second: X509Certificate;

	test('asked for, and waited for', async () => {
		const asked = await request();
		expect(asked).toMatchObject({
			code: 0,
			request: workspace.path('identity/.gatepass/pending/usercert_request.pem'),
			subject: 'CN=Robot: cmsprod',
			renewal: false,
			reference: (await authority.waiting())[0],
			instructions: [],
		});
		const early = await run('cert', 'install');
		expect(early.code).toBe(1);
		expect(early.error.message).toContain('has not been issued yet');
	});

	test('issued under the name that the authority gives, installed, and used in a handshake', async () => {
		const [order = ''] = await authority.waiting();
		await authority.approve(order, '/DC=org/DC=example/OU=Users/CN=Robot: cmsprod');
		expect(await run('cert', 'install')).toMatchObject({
			code: 0,
			kind: 'robot',
			subject,
			warnings: [
				expect.stringContaining('its issuer, CN=Example Grid CA,DC=example,DC=org, did not come with it'),
			],
		});
		first = installed();
		expect(statSync(workspace.path('identity/userkey.pem')).mode & 0o777).toBe(0o600);
		expect(statSync(workspace.path('identity/usercert.pem')).mode & 0o777).toBe(0o644);

		gatepass = await startGatepass({requireRobot: true});
		expect(await seen()).toEqual({subject, serialNumber: first.serialNumber});
	});

	test('a successor has the same subject, and another one is refused', async () => {
		expect(await request()).toMatchObject({code: 0, renewal: true, subject});
		const [order = ''] = await authority.waiting();
		await authority.approve(order, '/DC=org/DC=example/OU=Users/CN=Robot: cmsprod2');
		const other = await run('cert', 'install');
		expect(other.code).toBe(1);
		expect(other.error.code).toBe('ERR_GATEPASS_CERTIFICATE');
		expect(other.error.message).toContain('CN=Robot: cmsprod2,OU=Users,DC=example,DC=org');
		expect(other.error.message).toContain('--allow-new-subject');
		// Nothing has changed for those who use it.
		expect(installed().serialNumber).toBe(first.serialNumber);
		expect(await seen()).toEqual({subject, serialNumber: first.serialNumber});
	});

	test('the running gatepass takes up the successor', async () => {
		expect(
			(
				await run(
					'cert',
					'request',
					'--robot',
					'--new',
					'--checklist',
					'answers.yaml',
					'--authority-command',
					authority.command,
				)
			).renewal,
		).toBe(true);
		const [order = ''] = await authority.waiting();
		await authority.approve(order);
		expect(await run('cert', 'install')).toMatchObject({code: 0, subject, warnings: []});
		second = installed();
		expect(second.serialNumber).not.toBe(first.serialNumber);
		await untilSeen(second);
	});

	test('going back brings the first one back, and going on the second', async () => {
		const back = await workspace.run(['cert', 'install', '--rollback', '--to', 'identity', '--json']);
		expect(back.code).toBe(0);
		await untilSeen(first);
		const [kept] = JSON.parse((await workspace.run(['cert', 'list', 'identity', '--json'])).stdout);
		const newest = kept.versions.at(-1).name;
		const again = `identity/.gatepass/versions/${newest}/usercert.pem`;
		expect((await run('cert', 'install', again)).code).toBe(0);
		await untilSeen(second);
	});

	test('revoked, it is refused, and the predecessor is still good', async () => {
		expect(await run('cert', 'revoke', '--reason', 'superseded')).toMatchObject({
			code: 0,
			revoked: true,
			serialNumber: second.serialNumber,
		});
		expect(await authority.index()).toMatch(new RegExp(`^R\t.*,superseded\t${second.serialNumber}\t`, 'm'));
		await server.close();
		server = await startServer();
		await gatepass.close();
		gatepass = await startGatepass();
		const error = await seen().catch((failure: unknown) => failure);
		expect(error).toBeInstanceOf(CertificateError);
		expect((error as Error).message).toMatch(/revoked/);
		expect((await run('cert', 'install', '--rollback')).code).toBe(0);
		await untilSeen(first);
	});
});
