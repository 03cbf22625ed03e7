import {chmod, chown, mkdir, stat, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import process from 'node:process';
import {expect} from 'vitest';
import {Checkpoints} from '../../src/installers/checkpoints.ts';
import {FilesInstaller} from '../../src/installers/files.ts';
import type {RealServer} from '../servers/availability.ts';
import {fault} from './harness.ts';

const root: RealServer = {
	name: 'root',
	install: 'sudo',
	whyUnavailable: () => (process.geteuid?.() === 0 ? undefined : 'only root can give a file away'),
};

fault('new-key-unreadable', root, () => async stage => {
	const folder = await stage.folder();
	const [certificate, key] = [join(folder, 'service.crt'), join(folder, 'service.key')];
	await writeFile(key, 'the key of before');
	await chown(key, 12_345, 12_345);
	await chmod(key, 0o640);
	await mkdir(join(folder, 'live'));
	const path = (kind: string): string => join(folder, 'live', `${kind}.pem`);
	const [cert, chain, fullchain, privkey] = ['cert', 'chain', 'fullchain', 'privkey'].map(path) as [
		string,
		string,
		string,
		string,
	];
	const paths = {cert, chain, fullchain, privkey};
	for (const one of Object.values(paths)) await writeFile(one, 'new');
	const checkpoints = new Checkpoints(join(folder, 'checkpoints'));
	await new FilesInstaller({certificate, key}, checkpoints).deploy({
		name: 'service',
		domains: ['service'],
		paths,
	});
	const {uid, gid, mode} = await stat(key);
	expect([uid, gid, mode & 0o777]).toEqual([12_345, 12_345, 0o640]);
	return undefined;
});
