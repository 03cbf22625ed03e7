/** One operation on a folder of certificates, for crash.test.ts to kill on the way. No server is asked. */
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {CertificateManager} from '../../../src/certificates/manager.ts';
import {makeAuthenticator, makeInstaller} from '../../../src/certificates/plug-ins.ts';
import {defaultSettings} from '../../../src/config/certificate-settings.ts';
import {CertbotFolder} from '../../../src/lineages/certbot/folder.ts';
import {Lineage} from '../../../src/lineages/certbot/lineage.ts';
import {recovering} from '../../../src/lineages/certbot/recovery.ts';

const [operation, path = ''] = process.argv.slice(2);
const folder = new CertbotFolder(join(path, 'letsencrypt'));
const files = JSON.parse(await readFile(join(path, 'new.json'), 'utf8'));
const manager = new CertificateManager({
	settings: {...defaultSettings, folder: folder.path},
	connect: () => {
		throw new Error('no server is to be asked');
	},
	makeAuthenticator,
	makeInstaller,
});
const changing = (work: () => Promise<unknown>): Promise<unknown> => recovering(folder, () => {}, work);
const service = {
	name: 'files',
	certificate: join(path, 'service.crt'),
	key: join(path, 'service.key'),
};

switch (operation) {
	case 'create':
		await folder.prepare();
		await changing(() => Lineage.create(folder, 'a.example.test', files, {authenticator: 'standalone'}));
		break;
	case 'add':
		await changing(async () => (await Lineage.open(folder, 'a.example.test')).add(files));
		break;
	case 'use':
		await changing(async () => (await Lineage.open(folder, 'a.example.test')).use(1));
		break;
	case 'deploy':
		await manager.deploy('a.example.test', service);
		break;
	case 'delete':
		await manager.delete('a.example.test');
		break;
	case 'rollback':
		await manager.rollback(1);
		break;
	// What a start does: puts right what is half done.
	case 'recover':
		await folder.prepare();
		await manager.rollback(1).catch(error => {
			if (!/cannot be taken back/.test(error.message)) throw error;
		});
		break;
	default:
		throw new Error(`no operation ${operation}`);
}
