/** `gatepass cert` with an ACME server, as it is typed: certbot's words, and what people and machines see. */
import {execFileSync} from 'node:child_process';
import {X509Certificate} from 'node:crypto';
import {once} from 'node:events';
import {existsSync, readdirSync, readFileSync, statSync} from 'node:fs';
import {mkdir} from 'node:fs/promises';
import {createServer} from 'node:http';
import {stripVTControlCharacters} from 'node:util';
import {afterEach, beforeEach, expect, onTestFinished, test} from 'vitest';
import {programs, writeForeign} from '../lineages/certbot/foreign-layouts.ts';
import {describeWith} from '../servers/availability.ts';
import {type Pebble, pebble, startPebble} from '../servers/pebble.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

describeWith(pebble, 'with pebble', () => {
	let server: Pebble;
	let workspace: Workspace;
	let standalone: string[];
	const folder = ['--config-dir', 'letsencrypt'];

	beforeEach(async () => {
		server = await startPebble();
		workspace = await createWorkspace({
			cache: {url: 'memory:'},
			trust: [{match: 'https://localhost:*', ca: server.ca}],
		});
		standalone = [
			...['--standalone', '--http-01-address', '127.0.0.1', '--http-01-port', String(server.httpPort)],
			...['--server', server.directoryUrl, ...folder],
		];
	});
	afterEach(async () => {
		await workspace.close();
		await server.close();
	});

	test('obtains, lists, renews, revokes and deletes', async () => {
		const obtained = await workspace.run([
			...[
				'cert',
				'obtain',
				'-d',
				'a.example.test,b.example.test',
				'-d',
				'c.example.test',
				'--agree-tos',
				'-m',
				'me@example.org',
			],
			...standalone,
		]);
		expect(obtained.stderr).toContain('→ a.example.test: challenge (http-01)');
		expect(obtained.stderr).toContain('✔ c.example.test: issued');
		expect(obtained.stdout).toMatch(/✔ obtained a\.example\.test, until 20\d\d-/);
		expect(obtained.stdout).toMatch(/certificate {2}letsencrypt\/live\/a\.example\.test\/fullchain\.pem/);
		expect(obtained.code).toBe(0);
		expect(existsSync(workspace.path('letsencrypt/live/a.example.test/privkey.pem'))).toBe(true);

		const listed = await workspace.run(['cert', 'list', ...folder]);
		expect(listed.stdout).toMatch(/✔ a\.example\.test {2}.*UTC/);
		expect(listed.stdout).toContain('a.example.test, b.example.test, c.example.test');
		const [status] = JSON.parse((await workspace.run(['cert', 'list', '--json', ...folder])).stdout);
		expect(status).toMatchObject({kind: 'lineage', name: 'a.example.test', due: false, version: 1});

		const skipped = await workspace.run(['cert', 'renew', ...folder]);
		expect(skipped).toMatchObject({code: 0, stdout: '1 certificate not due: a.example.test\n'});
		const renewed = await workspace.run(['cert', 'renew', '--force-renewal', '--json', ...folder]);
		expect(JSON.parse(renewed.stdout)).toMatchObject({
			renewed: ['a.example.test'],
			failed: [],
			dryRun: false,
		});
		const [again] = JSON.parse((await workspace.run(['cert', 'list', '--json', ...folder])).stdout);
		expect(again.serialNumber).not.toBe(status.serialNumber);

		const revoked = await workspace.run([
			'cert',
			'revoke',
			'--cert-name',
			'a.example.test',
			'--reason',
			'superseded',
			...folder,
		]);
		expect(revoked).toMatchObject({code: 0, stdout: '✔ revoked a.example.test\n'});
		expect(await server.statusOf(again.serialNumber)).toBe('Revoked');
		expect((await workspace.run(['cert', 'list', ...folder])).stdout).toMatch(
			/✖ a\.example\.test .* now\n.*it is revoked/,
		);
		expect((await workspace.run(['cert', 'delete', '--cert-name', 'a.example.test', ...folder])).code).toBe(
			0,
		);
		expect(JSON.parse((await workspace.run(['cert', 'list', '--json', ...folder])).stdout)).toEqual([]);
	});

	test('without leave to agree to the terms it says which, and does nothing', async () => {
		const {code, stderr} = await workspace.run(['cert', 'obtain', '-d', 'a.example.test', ...standalone]);
		expect(code).toBe(1);
		expect(stderr).toMatch(/terms of service .* were not agreed to\. Read .*--agree-tos/s);
		expect(existsSync(workspace.path('letsencrypt/live/a.example.test'))).toBe(false);
	});

	test('a dry run keeps nothing; a request from elsewhere is answered with a file, which is never written over', async () => {
		const dry = await workspace.run([
			'cert',
			'obtain',
			'-d',
			'a.example.test',
			'--dry-run',
			'--agree-tos',
			...standalone,
		]);
		expect(dry.stdout).toBe('✔ the dry run succeeded; nothing was kept\n');
		execFileSync(
			'openssl',
			[
				...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/'],
				...[
					'-keyout',
					workspace.path('k.pem'),
					'-out',
					workspace.path('r.pem'),
					'-addext',
					'subjectAltName=DNS:r.example.test',
				],
			],
			{stdio: 'ignore'},
		);
		const request = [
			'cert',
			'obtain',
			'--csr',
			'r.pem',
			'--cert-path',
			'c.pem',
			'--agree-tos',
			...standalone,
		];
		expect((await workspace.run(request)).code).toBe(0);
		expect(readFileSync(workspace.path('c.pem'), 'utf8').match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(
			1,
		);
		expect((await workspace.run(request)).stderr).toMatch(/c\.pem is there already.*nothing was ordered/s);
		expect(JSON.parse((await workspace.run(['cert', 'list', '--json', ...folder])).stdout)).toEqual([]);
	});

	test('writes copies, prints schedules, and revokes what is kept elsewhere by its own key', async () => {
		const options = ['-d', 'a.example.test', '--cert-path', 'c.pem', '--key-path', 'k.pem', '--agree-tos'];
		expect((await workspace.run(['cert', 'obtain', ...options, ...standalone])).code).toBe(0);
		expect(statSync(workspace.path('k.pem')).mode & 0o777).toBe(0o600);
		const certificate = new X509Certificate(readFileSync(workspace.path('c.pem')));
		const again = await workspace.run(['cert', 'obtain', ...options, ...standalone]);
		expect(again.stderr).toMatch(/c\.pem is there already.*nothing was ordered/s);
		const other = ['cert', 'revoke', '--cert-path', 'c.pem', '--server', server.directoryUrl, ...folder];
		const wrong = await workspace.run([...other, '--key-path', 'c.pem']);
		expect(wrong.code).toBe(1);
		const revoked = await workspace.run([...other, '--key-path', 'k.pem', '--reason', 'keycompromise']);
		expect(revoked).toMatchObject({code: 0, stdout: '✔ revoked c.pem\n'});
		expect(await server.statusOf(certificate.serialNumber)).toBe('Revoked');

		const timer = await workspace.run(['cert', 'renew', '--print-timer', ...folder]);
		expect(timer.stdout).toMatch(
			/^ExecStart=\/.*main\.js cert renew --config \/.*--config-dir \/.*letsencrypt$/m,
		);
		if (existsSync('/usr/bin/systemd-analyze')) {
			const [service = '', units = ''] = timer.stdout.split('# /etc/systemd/system/gatepass-renew.timer\n');
			await workspace.write('gatepass-renew.service', service);
			await workspace.write('gatepass-renew.timer', units);
			const files = ['service', 'timer'].map(kind => workspace.path(`gatepass-renew.${kind}`));
			execFileSync('systemd-analyze', ['verify', ...files], {stdio: 'pipe'});
		}
		const cron = (await workspace.run(['cert', 'renew', '--print-cron', ...folder])).stdout;
		const [, command = ''] = /^\d+ \* \* \* \* (.*)\n$/.exec(cron) ?? [];
		// As cron runs it: by sh, with nothing around.
		expect(execFileSync('sh', ['-c', command], {cwd: '/', env: {}, encoding: 'utf8'})).toMatch(/not due/);
	});

	test('the account is registered, gets a new key, and ends', async () => {
		const where = ['--server', server.directoryUrl, ...folder];
		const first = JSON.parse(
			(await workspace.run(['cert', 'register', '--agree-tos', '--json', ...where])).stdout,
		);
		expect(first.url).toMatch(/my-account/);
		expect((await workspace.run(['cert', 'account', 'update', '-m', 'you@example.org', ...where])).code).toBe(
			0,
		);
		const changed = JSON.parse(
			(await workspace.run(['cert', 'account', 'rollover', '--json', ...where])).stdout,
		);
		expect(changed.id).not.toBe(first.id);
		expect((await workspace.run(['cert', 'account', 'deactivate', ...where])).code).toBe(0);
		expect((await workspace.run(['cert', 'account', 'user-agent'])).stdout).toMatch(
			/^gatepass\/\d+\.\d+\.\d+ /,
		);
	});

	test('folders of other clients are adopted, and renewed from then on', async () => {
		const options = ['-d', 'a.example.test', '--agree-tos', '--json', '--config-dir', 'elsewhere'];
		const own = await workspace.run(['cert', 'obtain', ...options, ...standalone.slice(0, -2)]);
		const {paths} = JSON.parse(own.stdout);
		const [certificate, chain, fullchain, privateKey] = ['cert', 'chain', 'fullchain', 'privkey'].map(kind =>
			readFileSync(paths[kind], 'utf8'),
		) as [string, string, string, string];
		const contents = {certificate, chain, fullchain, privateKey};
		for (const [program, lay] of Object.entries(programs)) {
			await writeForeign(workspace.path(program), lay(contents));
			const kept = ['--config-dir', `of-${program}`];
			const adopted = await workspace.run([
				'cert',
				'import',
				program,
				'--server',
				server.directoryUrl,
				...kept,
			]);
			expect(adopted.stdout).toMatch(
				new RegExp(`^✔ adopted a\\.example\\.test of ${program}, until 20\\d\\d-.*\\n  renewed +20\\d\\d-`),
			);
			const [listed] = JSON.parse((await workspace.run(['cert', 'list', '--json', ...kept])).stdout);
			expect(listed).toMatchObject({name: 'a.example.test', domains: ['a.example.test'], version: 1});
		}
		const again = ['cert', 'import', 'lego', '--server', server.directoryUrl, '--config-dir', 'of-lego'];
		expect((await workspace.run(again)).stdout).toBe('All that is there was adopted before.\n');
		const fresh = await workspace.run([...again.slice(0, 5), '--config-dir', 'of-json', '--json']);
		expect(JSON.parse(fresh.stdout)).toMatchObject([
			{program: 'lego', from: workspace.path('lego/certificates/a.example.test.crt')},
		]);
		const none = await workspace.run(['cert', 'import', 'of-json/renewal', '--server', server.directoryUrl]);
		expect(none).toMatchObject({code: 1, stderr: expect.stringMatching(/no certificate with its key in/)});
	});

	test('status tells of certificates that renew themselves', async () => {
		await workspace.configure({
			cache: {url: 'memory:'},
			trust: [{match: 'https://localhost:*', ca: server.ca}],
			certificates: {folder: workspace.path('letsencrypt')},
			hostRules: [{match: 'https://open.example.test', strategy: 'none'}],
		});
		const options = ['-d', 'a.example.test', '--agree-tos', ...standalone];
		expect((await workspace.run(['cert', 'obtain', ...options])).code).toBe(0);
		const {stdout} = await workspace.run(['status', '--json']);
		const [rule, lineage] = JSON.parse(stdout);
		expect(rule).toMatchObject({strategy: 'none', available: true});
		expect(lineage).toMatchObject({
			kind: 'lineage',
			name: 'a.example.test',
			available: true,
			due: false,
			domains: ['a.example.test'],
		});
		expect(lineage.renewAt).toBeLessThan(lineage.notAfter);
		expect((await workspace.run(['status'])).stdout).toMatch(/✔ a\.example\.test {2,}20\d\d-/);
	});

	test('machines see each name move; people see what expires when, with identities beside it', async () => {
		const obtained = await workspace.run([
			...['cert', 'obtain', '-d', 'a.example.test', '--agree-tos', '--json', ...standalone],
		]);
		const states = obtained.stderr
			.trim()
			.split('\n')
			.map(line => JSON.parse(line).progress)
			.map(({domain, state}) => [domain, state]);
		expect(states).toEqual(
			['pending', 'challenge', 'valid', 'issued'].map(state => ['a.example.test', state]),
		);
		const {paths} = JSON.parse(obtained.stdout);
		await workspace.write('.globus/usercert.pem', readFileSync(paths.fullchain, 'utf8'));
		await workspace.write('.globus/userkey.pem', readFileSync(paths.privkey, 'utf8'));
		const listed = await workspace.runOnTerminal(['cert', 'list', ...folder], {columns: 80});
		const lines = stripVTControlCharacters(listed.stdout).split(/\r?\n/);
		expect(lines.filter(line => /━.*(?:days|years)$/.test(line))).toHaveLength(2);
		expect(lines.some(line => /┃/.test(line))).toBe(true);
		expect(Math.max(...lines.map(line => line.length))).toBeLessThanOrEqual(80);
	});

	test('the name that authorities are told has the plug-ins that were chosen', async () => {
		await workspace.configure({
			cache: {url: 'memory:'},
			certificates: {authenticator: {name: 'http-01'}, installer: {name: 'identity'}},
		});
		const {stdout} = await workspace.run(['cert', 'account', 'user-agent']);
		expect(stdout).toMatch(/^gatepass\/\S+ \(authenticator http-01; installer identity\) node\//);
	});

	test('interrupted, it takes the answers to challenges away', async () => {
		await mkdir(workspace.path('www'));
		// The authority comes and is not answered.
		const asked = Promise.withResolvers<void>();
		const silent = createServer(() => asked.resolve()).listen(server.httpPort, '127.0.0.1');
		onTestFinished(() => {
			silent.closeAllConnections();
			silent.close();
		});
		const child = workspace.start([
			...['cert', 'obtain', '-d', 'a.example.test', '-w', 'www', '--agree-tos'],
			...['--server', server.directoryUrl, ...folder],
		]);
		const ended = once(child, 'close');
		await asked.promise;
		expect(readdirSync(workspace.path('www/.well-known/acme-challenge'))).toHaveLength(1);
		child.kill('SIGINT');
		expect(await ended).toEqual([130, null]);
		expect(readdirSync(workspace.path('www'))).toEqual([]);
		expect(existsSync(workspace.path('letsencrypt/.certbot.lock'))).toBe(false);
	});

	test('on a terminal, an address that the authority refuses is asked for again', async () => {
		const {stdout, code} = await workspace.runOnTerminal(
			['cert', 'register', '--agree-tos', '-m', 'not an address', '--server', server.directoryUrl, ...folder],
			{answers: [['Another address', 'me@example.org\r']]},
		);
		expect(stdout).toMatch(/the account is https:/);
		expect(code).toBe(0);
		const refused = await workspace.run([
			...['cert', 'register', '--agree-tos', '-m', 'not an address'],
			...['--server', server.directoryUrl, '--config-dir', 'other'],
		]);
		expect(refused.code).toBe(1);
		expect(readdirSync(workspace.path('other/accounts'))).toEqual([]);
	});

	test('on a terminal, the terms are asked for, and names move as they are proven', async () => {
		const {stdout, code} = await workspace.runOnTerminal(
			['cert', 'obtain', '-d', 'a.example.test', ...standalone],
			{
				answers: [['Do you agree to the terms', 'y']],
			},
		);
		expect(stdout).toContain('a.example.test: issued');
		expect(code).toBe(0);
	});
});

test.each([
	[['obtain'], /Name what the certificate is for: -d NAME/],
	[['obtain', '-d', 'a.example.org', '--standalone', '--manual'], /Only one of --standalone/],
	[['obtain', '-d', 'a.example.org', '--webroot'], /--webroot needs the folder/],
	[['obtain', '-d', 'a.example.org', '--http-01-port', '0'], /It is no port/],
	[['register', '--eab-kid', 'k'], /belong together/],
	[['enhance', '-d', 'a.example.org'], /Say what to add/],
	[['revoke', '--key-path', 'k.pem'], /belongs to --cert-path/],
	[['obtain', '-d', 'a.example.org', '--dns-rfc2136'], /needs the name server and its key/],
	[['enhance', '-d', 'a.example.org', '--header', 'none'], /It is no header/],
	[['rollback', 'all'], /It is no number of changes/],
])('gatepass cert %j is a mistake in usage', async (args, message) => {
	const workspace = await createWorkspace();
	try {
		const {code, stderr} = await workspace.run(['cert', ...args]);
		expect(stderr).toMatch(message);
		expect(code).toBe(2);
	} finally {
		await workspace.close();
	}
});

test('a key and a request are checked, with the three messages', async () => {
	const workspace = await createWorkspace();
	onTestFinished(() => workspace.close());
	const quiet = {cwd: workspace.folder, stdio: 'ignore'} as const;
	for (const name of ['one', 'two']) {
		const files = ['-keyout', `${name}.key`, '-out', `${name}.csr`];
		execFileSync(
			'openssl',
			['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=x', ...files],
			quiet,
		);
	}
	const check = (...files: string[]) => workspace.run(['cert', 'check', ...files]);
	expect(await check('one.key')).toMatchObject({
		code: 0,
		stdout: '✔ one.key is a private key that can be used\n',
	});
	expect(await check('one.key', 'one.csr')).toMatchObject({
		code: 0,
		stdout: '✔ one.key is the key of one.csr, and both can be used\n',
	});
	const asked = await check('--json', 'one.key', 'one.csr');
	expect(JSON.parse(asked.stdout)).toEqual({valid: true, key: 'one.key', request: 'one.csr'});
	for (const [key, request, message] of [
		['one.csr', 'one.csr', 'The private key is not valid'],
		['one.key', 'one.key', 'The certificate request is not valid'],
		['one.key', 'two.csr', 'The private key and the certificate request do not match'],
	] as const) {
		const {code, stderr} = await check(key, request);
		expect(stderr.replace(/\s+/g, ' ')).toContain(message);
		expect(code).toBe(1);
	}
	expect(await check('missing.key')).toMatchObject({
		code: 2,
		stderr: expect.stringContaining('missing.key cannot be read (ENOENT)'),
	});
});

test('without a server, and without a certificate, it says so', async () => {
	const workspace = await createWorkspace();
	try {
		const obtain = await workspace.run(['cert', 'obtain', '-d', 'a.example.org', '--config-dir', 'x']);
		expect(obtain.stderr).toMatch(/There is no ACME server\. Name its directory/);
		const renew = await workspace.run(['cert', 'renew', '--config-dir', 'x']);
		expect(renew.stdout).toBe('There is no certificate to renew.\n');
		const gone = await workspace.run(['cert', 'delete', '--cert-name', 'a', '--config-dir', 'x']);
		expect(gone.stderr).toMatch(/There is no certificate 'a'/);
		const back = await workspace.run(['cert', 'rollback', '--config-dir', 'x']);
		expect(back.stderr).toMatch(/1 change cannot be taken back\. There is none/);
	} finally {
		await workspace.close();
	}
});
