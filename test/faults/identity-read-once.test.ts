import {copyFile} from 'node:fs/promises';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {expect} from 'vitest';
import {apache, startApacheMtls} from '../servers/apache.ts';
import {fault} from './harness.ts';

fault('identity-read-once', apache, () => async stage => {
	const {urls, ca, users, ...server} = await startApacheMtls();
	stage.ended(server);
	const folder = await stage.folder();
	const files = {certificate: join(folder, 'cert.pem'), key: join(folder, 'key.pem')};
	const use = async (user: 'alice' | 'bob'): Promise<void> => {
		await copyFile(users[user].certificate, files.certificate);
		await copyFile(users[user].key, files.key);
	};
	await use('alice');
	const gatepass = await stage.open({
		trust: [{match: '127.0.0.1:*', ca, only: true}],
		hostRules: [{match: '127.0.0.1:*', strategy: 'grid-certificate', options: files}],
	});
	const shown = async () => (await gatepass.got(urls['TLSv1.3'])).headers['x-client-dn'];
	expect(await shown()).toContain('CN=alice');
	await use('bob');
	// The files are looked at once a second.
	while (!String(await shown()).includes('CN=bob')) await pause(100);
	return undefined;
});
