/**
 * Processes that are killed at every one of their operations on files, while they make, renew, switch, deploy, roll back
 * and delete certificates. After the next start there is the old state or the new one, whole, and nothing is left behind.
 */

import {spawn} from 'node:child_process';
import {createPrivateKey, X509Certificate} from 'node:crypto';
import {once} from 'node:events';
import {cpSync, existsSync, globSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {mkdtemp, rename, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, expect, onTestFinished, test} from 'vitest';
import {CertificateManager} from '../../../src/certificates/manager.ts';
import {makeAuthenticator, makeInstaller} from '../../../src/certificates/plug-ins.ts';
import {defaultSettings} from '../../../src/config/certificate-settings.ts';
import {Checkpoints} from '../../../src/installers/checkpoints.ts';
import {CertbotFolder} from '../../../src/lineages/certbot/folder.ts';
import {Lineage, type VersionFiles} from '../../../src/lineages/certbot/lineage.ts';
import {createTestAuthority, type TestAuthority} from '../../../src/testing/authority.ts';

const hook = fileURLToPath(new URL('../crash.mjs', import.meta.url));
const child = fileURLToPath(new URL('crash-child.ts', import.meta.url));
const name = 'a.example.test';

let authority: TestAuthority;
let versions: VersionFiles[];

beforeAll(async () => {
	authority = await createTestAuthority();
	versions = await Promise.all(
		[1, 2, 3].map(async number => {
			const {certificate, key} = await authority.issue(`lineage-${number}`, {
				subject: `CN=${name}`,
				hosts: [name],
			});
			const [cert, privkey, chain] = [certificate, key, authority.ca].map(file => readFileSync(file, 'utf8'));
			return {cert, privkey, chain, fullchain: `${cert}${chain}`} as VersionFiles;
		}),
	);
});
afterAll(() => authority?.close());

/** Run an operation in a process that is killed before its file operation of that number. */
async function run(
	operation: string,
	path: string,
	crashAt = 0,
	code?: 'ENOSPC' | 'EROFS',
): Promise<'killed' | 'done'> {
	const process_ = spawn(process.execPath, ['--import', hook, child, operation, path], {
		env: {
			...process.env,
			GATEPASS_CRASH_AT: String(crashAt),
			...(code !== undefined && {GATEPASS_CRASH_CODE: code}),
		},
		stdio: ['ignore', 'ignore', 'pipe'],
	});
	let said = '';
	process_.stderr.on('data', chunk => {
		said += chunk;
	});
	const [status, signal] = await once(process_, 'close');
	if (signal === 'SIGKILL') return 'killed';
	// It says what it met, and ends.
	if (code !== undefined && status === 1 && said.includes(code)) return 'killed';
	expect({code: status, said}).toEqual({code: 0, said: expect.any(String)});
	return 'done';
}

interface Stage {
	readonly path: string;
	readonly folder: CertbotFolder;
}

async function emptyStage(): Promise<Stage> {
	const path = await mkdtemp(join(tmpdir(), 'gatepass-crash-'));
	onTestFinished(() => rm(path, {recursive: true, force: true}));
	writeFileSync(join(path, 'new.json'), JSON.stringify(versions[2]));
	return {path, folder: new CertbotFolder(join(path, 'letsencrypt'))};
}

/** With a certificate of two versions, the second in use. */
async function stageWithLineage(): Promise<Stage> {
	const stage = await emptyStage();
	await stage.folder.prepare();
	const lineage = await Lineage.create(stage.folder, name, versions[0] as VersionFiles, {});
	await lineage.add(versions[1] as VersionFiles);
	return stage;
}

/** Kill at each operation of a fresh copy, start again, and look; gives how often it was killed, and the states seen. */
async function killAtEach<State>(
	stage: Stage,
	operation: string,
	look: (copy: Stage) => Promise<State>,
	code?: 'ENOSPC' | 'EROFS',
): Promise<State[]> {
	const seen: State[] = [];
	for (let at = 1; ; at++) {
		const path = `${stage.path}-copy`;
		rmSync(path, {recursive: true, force: true});
		onTestFinished(() => rm(path, {recursive: true, force: true}));
		cpSync(stage.path, path, {recursive: true, verbatimSymlinks: true});
		const copy = {path, folder: new CertbotFolder(join(path, 'letsencrypt'))};
		// The configuration names whole paths.
		for (const file of globSync('letsencrypt/renewal/*.conf', {cwd: path})) {
			const text = readFileSync(join(path, file), 'utf8');
			writeFileSync(join(path, file), text.replaceAll(`${stage.path}/`, `${path}/`));
		}
		const outcome = await run(operation, path, at, code);
		if (outcome === 'killed') await recover(copy);
		seen.push(await look(copy));
		expect(leftBehindIn(copy), `operation ${at}`).toEqual([]);
		if (outcome === 'done') return seen;
	}
}

/** What the next start does. Here, since a process for each would take its time. */
async function recover({folder}: Stage): Promise<void> {
	const manager = new CertificateManager({
		settings: {...defaultSettings, folder: folder.path},
		connect: () => {
			throw new Error('no server is to be asked');
		},
		makeAuthenticator,
		makeInstaller,
	});
	// It changes nothing: there is no certificate of that name.
	await expect(manager.deploy('nothing', {name: 'identity'})).rejects.toThrow(/There is no certificate/);
}

function leftBehindIn({path}: Stage): string[] {
	return globSync(
		['**/.new-*', '**/.*/.new-*', '**/busy', '**/*.creating', '**/*.deleting', '**/checkpoints/*'],
		{cwd: path},
	).filter(file => !keepsHistory || !file.includes('checkpoints/'));
}
let keepsHistory = false;

/** Which version is in use: the number of its files among `versions`, checked to be a pair; `none`. */
async function inUse({folder}: Stage): Promise<number | 'none'> {
	if (!(await folder.names()).includes(name)) {
		// Then nothing else of it is there, and the name can be used again.
		await expect(Lineage.freeName(folder, name)).resolves.toBe(name);
		return 'none';
	}
	const lineage = await Lineage.open(folder, name);
	await lineage.currentVersion();
	const {files} = await lineage.read();
	return versions.findIndex(({privkey}) => privkey === files.privkey) + 1;
}

test('a new certificate', async () => {
	const seen = await killAtEach(await emptyStage(), 'create', inUse);
	expect(new Set(seen)).toEqual(new Set(['none', 3]));
	expect(seen.length).toBeGreaterThan(25);
}, 240_000);

test('a renewed certificate', async () => {
	const seen = await killAtEach(await stageWithLineage(), 'add', inUse);
	expect(new Set(seen)).toEqual(new Set([2, 3]));
	expect(seen.length).toBeGreaterThan(15);
}, 240_000);

test('a certificate that certbot made, whose folder gives way to a link', async () => {
	const stage = await stageWithLineage();
	const live = stage.folder.live(name);
	const links = globSync(`letsencrypt/live/.${name}.*`, {cwd: stage.path}).sort().at(-1) as string;
	rmSync(live);
	await rename(join(stage.path, links), live);
	expect(await inUse(stage)).toBe(2);
	const seen = await killAtEach(stage, 'add', inUse);
	expect(new Set(seen)).toEqual(new Set([2, 3]));
}, 240_000);

test('a disk that is full from any operation on', async () => {
	const seen = await killAtEach(await emptyStage(), 'create', inUse, 'ENOSPC');
	expect(new Set(seen)).toEqual(new Set(['none', 3]));
}, 240_000);

test('a disk that is read-only from any operation on', async () => {
	const seen = await killAtEach(await stageWithLineage(), 'add', inUse, 'EROFS');
	expect(new Set(seen)).toEqual(new Set([2, 3]));
}, 240_000);

test('a version from before', async () => {
	const seen = await killAtEach(await stageWithLineage(), 'use', inUse);
	expect(new Set(seen)).toEqual(new Set([2, 1]));
}, 240_000);

test('a certificate that is deleted', async () => {
	const seen = await killAtEach(await stageWithLineage(), 'delete', inUse);
	expect(new Set(seen)).toEqual(new Set([2, 'none']));
}, 240_000);

test('copies for a service', async () => {
	const stage = await stageWithLineage();
	const [certificate, key] = ['service.crt', 'service.key'];
	writeFileSync(join(stage.path, certificate), (versions[0] as VersionFiles).fullchain);
	writeFileSync(join(stage.path, key), (versions[0] as VersionFiles).privkey, {mode: 0o600});
	const seen = await killAtEach(stage, 'deploy', async ({path}) => {
		const [pem, own] = [certificate, key].map(file => readFileSync(join(path, file)));
		const leaf = new X509Certificate(pem as Buffer);
		expect(leaf.checkPrivateKey(createPrivateKey(own as Buffer))).toBe(true);
		return versions.findIndex(({privkey}) => privkey === own?.toString()) + 1;
	});
	expect(new Set(seen)).toEqual(new Set([1, 2]));
}, 240_000);

test('a rollback of what an installer changed', async () => {
	keepsHistory = true;
	onTestFinished(() => {
		keepsHistory = false;
	});
	const stage = await stageWithLineage();
	// The paths of a change are absolute, so this is done where it stays.
	let [kills, restored] = [0, 0];
	for (let at = 1; ; at++) {
		const files = ['one.conf', 'two.conf'].map(file => join(stage.path, file));
		const checkpoints = new Checkpoints(join(stage.folder.path, 'gatepass/checkpoints'));
		for (const file of files) writeFileSync(file, 'old');
		const change = await checkpoints.begin('test');
		for (const file of files) await change.write(file, 'new');
		await change.finish();
		const outcome = await run('rollback', stage.path, at);
		if (outcome === 'killed') {
			kills += 1;
			await recover(stage);
		}
		const contents = files.map(file => readFileSync(file, 'utf8'));
		const isThere = (await checkpoints.history()).length === 1;
		expect([at, contents]).toEqual([at, isThere ? ['new', 'new'] : ['old', 'old']]);
		if (!isThere) restored += 1;
		expect(leftBehindIn(stage).filter(file => existsSync(join(stage.path, file)))).toEqual([]);
		rmSync(join(stage.folder.path, 'gatepass/checkpoints'), {recursive: true, force: true});
		if (outcome === 'done') break;
	}
	expect(kills).toBeGreaterThan(8);
	expect(restored).toBeGreaterThan(0);
}, 240_000);
