/** `gatepass bundle`, and what `doctor` and `explain` tell of bundles. */
import {copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {findBundle} from '../../src/bundles/bundle.ts';
import {makeCertificate} from '../bundles/certificates.ts';
import {createWorkspace, type Workspace} from './command-line.ts';

let workspace: Workspace;
beforeEach(async () => {
	workspace = await createWorkspace();
});
afterEach(() => workspace.close());

const brought = (name: string): string => findBundle(name)?.root as string;

/** A copy of CERN's bundle, with one thing wrong. */
function breakBundle(change: (root: string) => void): string {
	const root = workspace.path('broken');
	cpSync(brought('cern'), root, {recursive: true});
	change(root);
	return root;
}

test('list names each bundle with what it brings', async () => {
	const {code, stdout} = await workspace.run(['bundle', 'list']);
	expect(code).toBe(0);
	expect(stdout).toMatch(/^cern +2 .*https:\/\/\*\.cern\.ch:\*/m);
	expect(stdout).toContain('defaults for sso-client-credentials and sso-token-exchange');
	const {stdout: json} = await workspace.run(['bundle', 'list', '--json']);
	const [cern, igtf] = JSON.parse(json);
	expect(cern).toMatchObject({
		name: 'cern',
		file: join(brought('cern'), 'ca.pem'),
		endpoints: {tokenEndpoint: 'https://auth.cern.ch/auth/realms/cern/api-access/token'},
		defaults: {'sso-client-credentials': {server: 'auth.cern.ch', realm: 'cern'}},
	});
	expect(cern.certificates).toHaveLength(2);
	expect(igtf).toMatchObject({name: 'igtf', servers: []});
	expect(igtf.leftOut.length).toBeGreaterThan(0);
});

describe('verify', () => {
	test('those that gatepass brings along', async () => {
		const {code, stdout} = await workspace.run(['bundle', 'verify', 'cern', 'igtf']);
		expect(stdout).toMatch(/^✔ cern: 2 certificates, the first expires 2032-03-29/m);
		expect(stdout).toMatch(/^✔ igtf: \d+ certificates/m);
		expect(code).toBe(0);
	});

	test('fails as many days ahead as is asked for', async () => {
		const {code, stdout} = await workspace.run(['bundle', 'verify', 'cern', '--days', '99999']);
		expect(code).toBe(1);
		expect(stdout).toMatch(/^✖ cern/m);
		expect(stdout).toMatch(
			/ {2}✖ CN=CERN Root Certification Authority 2,.*: it expires on 2033-03-19, in \d+ days/,
		);
		expect(stdout).toMatch(/ {4}→ Run 'gatepass bundle build' again/);
	});

	test('fails on a leaf certificate, named by a folder', async () => {
		const leaf = await makeCertificate('CN=cmsweb.cern.ch', {ca: false});
		breakBundle(root =>
			writeFileSync(join(root, 'ca.pem'), readFileSync(join(root, 'ca.pem'), 'utf8') + leaf.pem),
		);
		const {code, stdout} = await workspace.run(['bundle', 'verify', './broken', 'igtf', '--json']);
		expect(code).toBe(1);
		const [broken, igtf] = JSON.parse(stdout);
		expect(igtf.ok).toBe(true);
		expect(broken).toMatchObject({name: 'broken', ok: false, certificates: 3});
		expect(
			broken.faults.map(({severity, what}: {severity: string; what: string}) => [severity, what]),
		).toEqual([
			['error', 'it is in the bundle, and not in the manifest'],
			['error', 'it is a leaf, not a CA certificate'],
		]);
		// A folder may be named without a slash here: no bundle of gatepass's bears its name.
		expect((await workspace.run(['bundle', 'verify', 'broken'])).code).toBe(1);
	});

	test.each([
		[['bundle', 'verify', 'nowhere'], "There is no bundle 'nowhere'. Name one of cern, igtf"],
		[['bundle', 'verify'], "missing required argument 'bundle'"],
		[['bundle', 'verify', 'cern', '--days', 'soon'], '--days'],
		[['bundle', 'build', '--from', '.'], "required option '--to <folder>' not specified"],
	])('%j is a mistake in the usage', async (args, message) => {
		const {code, stderr} = await workspace.run(args);
		expect(stderr).toContain(message);
		expect(code).toBe(2);
	});
});

describe('build', () => {
	test('builds, says what it left out, and what is built verifies', async () => {
		mkdirSync(workspace.path('from'));
		const certificates = {good: {}, ended: {endsIn: -1}, ending: {endsIn: 50}};
		for (const [name, settings] of Object.entries(certificates)) {
			await workspace.write(`from/${name}.pem`, (await makeCertificate(`CN=${name}`, settings)).pem);
		}
		const args = ['bundle', 'build', '--from', 'from', '--to', 'bundles/lab', '--licence', 'CC0-1.0'];
		const {code, stdout, stderr} = await workspace.run(args);
		expect([code, stderr]).toEqual([0, '']);
		expect(stdout).toMatch(
			/^✔ wrote 1 certificate to bundles\/lab\n {2}! CN=ended is left out: it expired on .*\n {2}! CN=ending is left out: it expires on .*, within 90 days of the build\n$/,
		);
		const verified = await workspace.run(['bundle', 'verify', 'bundles/lab', '--days', '90']);
		expect([verified.code, verified.stdout]).toEqual([0, expect.stringContaining('✔ lab: 1 certificate')]);
		const {stdout: json} = await workspace.run([
			...args,
			'--days',
			'30',
			'--only',
			'good',
			'ending',
			'--json',
		]);
		expect(JSON.parse(json)).toMatchObject({
			folder: workspace.path('bundles/lab'),
			manifest: {name: 'lab', days: 30, certificates: [{subject: 'CN=ending'}, {subject: 'CN=good'}]},
		});
	});

	test('what goes wrong is one sentence, and exit code 1', async () => {
		await workspace.write('from/readme.txt', 'nothing');
		const {code, stderr} = await workspace.run(['bundle', 'build', '--from', 'from', '--to', 'lab']);
		expect(code).toBe(1);
		expect(stderr).toMatch(/^error: .*from holds no certificates\. Name a folder with \*\.pem/);
	});
});

describe('a configuration with bundles', () => {
	const hostRules = [{match: 'https://cmsoms.cern.ch', strategy: 'sso-client-credentials'}];
	const env = {SSO_CLIENT_ID: 'a', SSO_CLIENT_SECRET: 'b'};

	test('doctor looks at them', async () => {
		await workspace.configure({bundles: ['cern', 'igtf'], hostRules});
		const {stdout} = await workspace.run(['doctor'], {env});
		expect(stdout).toMatch(/✔ bundle +bundle:cern: 2 CA certificates, the first expires 2032/);
		expect(stdout).toMatch(
			/! bundle +bundle:igtf: It is for no servers, so it adds nothing by itself\n.*ca: bundle:igtf/,
		);
	});

	test('doctor tells of one that is wrong, and fails', async () => {
		breakBundle(root => copyFileSync(join(root, 'ca.pem'), join(root, 'certificates', 'notes.txt')));
		await workspace.configure({bundles: ['./broken'], hostRules});
		const {code, stdout} = await workspace.run(['doctor', '--json'], {env});
		const found = JSON.parse(stdout).filter(({check}: {check: string}) => check === 'bundle');
		expect(found).toMatchObject([
			{
				check: 'bundle',
				outcome: 'failed',
				what: `${workspace.path('broken/certificates/notes.txt')}: the manifest does not list it`,
				where: `bundle:${workspace.path('broken')}`,
				hint: "Run 'gatepass bundle build' again",
			},
		]);
		expect(code).toBe(1);
	});

	test('explain tells what is theirs', async () => {
		await workspace.configure({bundles: ['cern'], hostRules});
		const {stdout} = await workspace.run(['explain', 'https://cmsoms.cern.ch/'], {env});
		expect(stdout).toContain('The options server and realm are the defaults of bundle:cern');
		expect(stdout).toContain("The CA certificates of bundle:cern are trusted besides the system's");
	});
});
