/**
 * The command line is killed before each of its operations on files in turn. Whoever reads the identity then finds the
 * old pair or the new one, never a mix; and the same command, run again, brings the work to its end.
 */
import {createPublicKey, X509Certificate} from 'node:crypto';
import {cpSync, existsSync, globSync, readFileSync, rmSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, expect, test} from 'vitest';
import {listIdentity} from '../../src/lineages/list.ts';
import {createTestAuthority, type TestAuthority} from '../../src/testing/index.ts';
import {createWorkspace, type Workspace} from '../cli/command-line.ts';

const hook = fileURLToPath(new URL('crash.mjs', import.meta.url));
const subject = 'CN=Robot: cmsprod,DC=example';

let workspace: Workspace;
let authority: TestAuthority;

beforeAll(async () => {
	[workspace, authority] = await Promise.all([createWorkspace(), createTestAuthority()]);
	await workspace.write(
		'answers.yaml',
		'{memberCategory: USER, ownsServiceAccount: yes, forwardsMail: yes, forSharing: no, forAccount: no}'
			.replaceAll('yes', 'true')
			.replaceAll('no', 'false'),
	);
});
afterAll(() => Promise.all([workspace?.close(), authority?.close()]));

const request = (folder: string): string[] => [
	...['cert', 'request', '--robot', '--service-account', 'cmsprod', '--checklist', 'answers.yaml'],
	...['--key-type', 'ecdsa', '--to', folder, '--json'],
];
const install = (folder: string, file: string): string[] => [
	'cert',
	'install',
	file,
	'--to',
	folder,
	'--json',
];

async function done(args: readonly string[]) {
	const {code, stdout, stderr} = await workspace.run(args);
	expect({code, stderr}).toEqual({code: 0, stderr: ''});
	return JSON.parse(stdout);
}

/** A folder with a request that is pending, and the certificate that was issued for it. */
async function pendingIn(folder: string): Promise<string> {
	const {request: file} = await done(request(folder));
	const issued = `${folder}-${Math.random()}.pem`;
	await workspace.write(issued, await authority.sign(readFileSync(file, 'utf8'), {subject}));
	return issued;
}

/** What somebody sees who reads both files; `undefined` where one of them is not there. */
function pairIn(folder: string): {serialNumber: string; fits: boolean} | undefined {
	const [certificate, key] = ['usercert.pem', 'userkey.pem'].map(name => workspace.path(`${folder}/${name}`));
	if (!existsSync(certificate as string) || !existsSync(key as string)) return undefined;
	const {publicKey, serialNumber} = new X509Certificate(readFileSync(certificate as string));
	return {serialNumber, fits: createPublicKey(readFileSync(key as string)).equals(publicKey)};
}

/**
 * Kill `command` before its first operation, its second, and so on, each time in a fresh copy of `folder`; then hand
 * the copy to `check`. Gives the number of operations.
 */
async function killAtEach(
	folder: string,
	command: (copy: string) => string[],
	check: (copy: string) => Promise<void>,
): Promise<number> {
	for (let at = 1; ; at++) {
		const copy = `${folder}-copy`;
		rmSync(workspace.path(copy), {recursive: true, force: true});
		cpSync(workspace.path(folder), workspace.path(copy), {recursive: true, verbatimSymlinks: true});
		const env = {NODE_OPTIONS: `--import=${hook}`, GATEPASS_CRASH_AT: String(at)};
		const {code, stderr} = await workspace.run(command(copy), {env});
		if (code === 0) return at - 1;
		expect({code, stderr}).toEqual({code: null, stderr: ''});
		await check(copy);
	}
}

/** The command has come to its end: one pair in use, nothing pending, nothing left behind. */
async function expectSettled(folder: string, serialNumber: string, versions: number): Promise<void> {
	expect(pairIn(folder)).toEqual({serialNumber, fits: true});
	const listed = await listIdentity(workspace.path(folder));
	expect(listed?.problem).toBeUndefined();
	expect(listed?.pending).toBeUndefined();
	expect(listed?.versions).toHaveLength(versions);
	expect(leftBehindIn(folder)).toEqual([]);
}

function leftBehindIn(folder: string): string[] {
	return globSync(['**/.new-*', '.gatepass/**/.new-*', '.gatepass/.new-*'], {cwd: workspace.path(folder)});
}

const serialOf = (file: string): string =>
	new X509Certificate(readFileSync(workspace.path(file))).serialNumber;

test('a first installation', async () => {
	const issued = await pendingIn('first');
	const operations = await killAtEach(
		'first',
		copy => install(copy, issued),
		async copy => {
			expect([undefined, {serialNumber: serialOf(issued), fits: true}]).toContainEqual(pairIn(copy));
			expect((await listIdentity(workspace.path(copy)))?.problem).toBeUndefined();
			await done(install(copy, issued));
			await expectSettled(copy, serialOf(issued), 1);
		},
	);
	expect(operations).toBeGreaterThan(10);
});

test('the installation of a successor, and going back', async () => {
	const first = await pendingIn('renewed');
	await done(install('renewed', first));
	const second = await pendingIn('renewed');
	const [old, successor] = [first, second].map(serialOf) as [string, string];
	let replacedAt = 0;
	const operations = await killAtEach(
		'renewed',
		copy => install(copy, second),
		async copy => {
			const pair = pairIn(copy);
			expect(pair?.fits).toBe(true);
			expect([old, successor]).toContain(pair?.serialNumber);
			if (pair?.serialNumber === successor) replacedAt++;
			await done(install(copy, second));
			await expectSettled(copy, successor, 2);
		},
	);
	// Killed after the change, too.
	expect(replacedAt).toBeGreaterThan(0);
	expect(operations).toBeGreaterThan(10);

	await done(install('renewed', second));
	await killAtEach(
		'renewed',
		copy => ['cert', 'install', '--rollback', '--to', copy],
		async copy => {
			const pair = pairIn(copy);
			expect(pair?.fits).toBe(true);
			if (pair?.serialNumber === successor)
				await done(['cert', 'install', '--rollback', '--to', copy, '--json']);
			else await done(['cert', 'list', copy, '--json']);
			expect(pairIn(copy)).toEqual({serialNumber: old, fits: true});
		},
	);
}, 240_000);

test('an installation over files that somebody put there by hand', async () => {
	await done(install('byhand', await pendingIn('byhand')));
	for (const name of ['usercert.pem', 'userkey.pem']) {
		const content = readFileSync(workspace.path(`byhand/${name}`), 'utf8');
		rmSync(workspace.path(`byhand/${name}`));
		await workspace.write(`byhand/${name}`, content);
	}
	rmSync(workspace.path('byhand/.gatepass'), {recursive: true});
	const old = pairIn('byhand')?.serialNumber;
	const issued = await pendingIn('byhand');
	await killAtEach(
		'byhand',
		copy => install(copy, issued),
		async copy => {
			const pair = pairIn(copy);
			expect(pair?.fits).toBe(true);
			expect([old, serialOf(issued)]).toContain(pair?.serialNumber);
			await done(install(copy, issued));
			await expectSettled(copy, serialOf(issued), 2);
			await done(['cert', 'install', '--rollback', '--to', copy, '--json']);
			expect(pairIn(copy)).toEqual({serialNumber: old, fits: true});
		},
	);
}, 240_000);

test('a request', async () => {
	await done(install('asking', await pendingIn('asking')));
	const before = pairIn('asking');
	await killAtEach('asking', request, async copy => {
		expect(pairIn(copy)).toEqual(before);
		const {request: file, key} = await done(request(copy));
		expect(leftBehindIn(copy)).toEqual([]);
		const issued = await authority.sign(readFileSync(file, 'utf8'), {subject});
		expect(createPublicKey(readFileSync(key)).equals(new X509Certificate(issued).publicKey)).toBe(true);
	});
});
