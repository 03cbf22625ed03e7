/** Copies for a service: who may read them, and what is there after a failure. */
import {mkdir, mkdtemp, readFile, rm, stat, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {expect, onTestFinished, test} from 'vitest';
import {Checkpoints} from '../../src/installers/checkpoints.ts';
import {FilesInstaller, type FilesSettings} from '../../src/installers/files.ts';
import type {DeployedLineage} from '../../src/installers/installer.ts';

async function stage(settings: Partial<FilesSettings> = {}) {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-files-'));
	onTestFinished(() => rm(folder, {recursive: true, force: true}));
	await mkdir(join(folder, 'live'));
	const paths = Object.fromEntries(
		['cert', 'chain', 'fullchain', 'privkey'].map(kind => [kind, join(folder, 'live', `${kind}.pem`)]),
	) as DeployedLineage['paths'];
	for (const [kind, path] of Object.entries(paths)) await writeFile(path, `${kind} of the new one`);
	const checkpoints = new Checkpoints(join(folder, 'checkpoints'));
	const [certificate, key] = [join(folder, 'service.crt'), join(folder, 'service.key')];
	const installer = new FilesInstaller({certificate, key, ...settings}, checkpoints);
	return {
		folder,
		checkpoints,
		certificate,
		key,
		deploy: () => installer.deploy({name: 'a', domains: ['a'], paths}),
	};
}

const modeOf = async (file: string): Promise<number> => (await stat(file)).mode & 0o777;

test('the key is for its owner alone, unless told otherwise', async () => {
	const {certificate, key, deploy} = await stage();
	await deploy();
	expect(await readFile(certificate, 'utf8')).toBe('fullchain of the new one');
	expect(await readFile(key, 'utf8')).toBe('privkey of the new one');
	expect([await modeOf(certificate), await modeOf(key)]).toEqual([0o644, 0o600]);
});

test.skipIf(process.getuid?.() !== 0)(
	'owner, group and mode are those that are named, and stay',
	async () => {
		const first = await stage({owner: 'www-data', group: 'www-data', mode: '640'});
		await first.deploy();
		const {uid, gid} = await stat(first.key);
		expect([uid, gid, await modeOf(first.key)]).toEqual([33, 33, 0o640]);
		// Without a word of it, those of the file that is there.
		const again = new FilesInstaller({certificate: first.certificate, key: first.key}, first.checkpoints);
		const paths = Object.fromEntries(
			['cert', 'chain', 'fullchain', 'privkey'].map(kind => [
				kind,
				join(first.folder, 'live', `${kind}.pem`),
			]),
		) as DeployedLineage['paths'];
		await again.deploy({name: 'a', domains: ['a'], paths});
		const kept = await stat(first.key);
		expect([kept.uid, kept.gid, kept.mode & 0o777]).toEqual([33, 33, 0o640]);
	},
);

test('a user who is not there is told, and nothing is changed', async () => {
	const {key, deploy} = await stage({owner: 'nobody-of-that-name'});
	await writeFile(key, 'old');
	await expect(deploy()).rejects.toThrow(/no user 'nobody-of-that-name'.*What was there before is restored/s);
	expect(await readFile(key, 'utf8')).toBe('old');
});

test('where the reload fails, the files from before are back, and the service is reloaded with them', async () => {
	const {folder, checkpoints, certificate, key} = await stage();
	const log = join(folder, 'log');
	await writeFile(certificate, 'old certificate', {mode: 0o604});
	await writeFile(key, 'old key', {mode: 0o600});
	const failing = new FilesInstaller(
		{
			certificate,
			key,
			reloadCommand: `cat ${key} >> ${log}; echo >> ${log}; grep -q old ${key}`,
		},
		checkpoints,
	);
	const paths = Object.fromEntries(
		['cert', 'chain', 'fullchain', 'privkey'].map(kind => [kind, join(folder, 'live', `${kind}.pem`)]),
	) as DeployedLineage['paths'];
	await expect(failing.deploy({name: 'a', domains: ['a'], paths})).rejects.toThrow(
		/ended with 1.*What was there before is restored/s,
	);
	expect([await readFile(certificate, 'utf8'), await readFile(key, 'utf8')]).toEqual([
		'old certificate',
		'old key',
	]);
	expect(await readFile(log, 'utf8')).toBe('privkey of the new one\nold key\n');
	expect(await modeOf(certificate)).toBe(0o604);
});

test('where there was nothing, nothing is left after a failure', async () => {
	const {certificate, key, deploy} = await stage({reloadCommand: 'exit 1'});
	await expect(deploy()).rejects.toThrow(/is restored/);
	await expect(stat(certificate)).rejects.toThrow(/ENOENT/);
	await expect(stat(key)).rejects.toThrow(/ENOENT/);
});
