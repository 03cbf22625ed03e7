/** Folders of other ACME clients become lineages, which are renewed; their files stay as they are. */
import {X509Certificate} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {createGatepass} from '../../../src/index.ts';
import {findForeign} from '../../../src/lineages/certbot/foreign-folders.ts';
import {managerAt, temporaryFolder} from '../../certificates/stage.ts';
import {pebbleFor} from '../../issuers/acme/stage.ts';
import {describeWith} from '../../servers/availability.ts';
import {pebble} from '../../servers/pebble.ts';
import {type Contents, programs, writeForeign} from './foreign-layouts.ts';

describeWith(pebble, 'a folder', () => {
	test.each(Object.entries(programs))(
		'of %s is adopted, renewed, and left as it is',
		async (program, lay) => {
			const server = await pebbleFor({nonceReject: 0});
			const {manager, folder} = await managerAt(server);
			const obtained = await manager.obtain(['a.example.test']);
			const files = lay(obtained as Contents);
			const theirs = await temporaryFolder();
			await writeForeign(theirs, files);
			// They can be named as they are, too.
			const [pair] = await findForeign(theirs);
			const gatepass = await createGatepass({
				config: {
					cache: {url: 'memory:'},
					hostRules: [
						{
							match: 'https://api.example.test',
							strategy: 'grid-certificate',
							options: {certificate: pair?.certificate, key: pair?.key},
						},
					],
				} as never,
			});
			const [status] = await gatepass.status();
			expect(status).toMatchObject({
				available: true,
				detail: expect.stringContaining(pair?.certificate ?? ''),
			});
			await gatepass.close();
			const adopted = await manager.adopt(theirs);
			expect(adopted.map(({program: name, lineage}) => [name, lineage.name, lineage.domains])).toEqual([
				[program, 'a.example.test', ['a.example.test']],
			]);
			// Once.
			expect(await manager.adopt(theirs)).toEqual([]);
			const live = join(folder, 'live/a.example.test/fullchain.pem');
			expect(await readFile(live, 'utf8')).toBe(obtained.fullchain);
			expect(await manager.renew({force: true})).toMatchObject({renewed: ['a.example.test'], failed: []});
			expect(new X509Certificate(await readFile(live)).serialNumber).not.toBe(
				new X509Certificate(obtained.certificate).serialNumber,
			);
			for (const [file, content] of Object.entries(files))
				expect(await readFile(join(theirs, file), 'utf8')).toBe(content);
		},
	);

	test('with a key of another certificate is refused, and one without any is told', async () => {
		const server = await pebbleFor({nonceReject: 0});
		const {manager} = await managerAt(server);
		const [one, other] = [await manager.obtain(['a.example.test']), await manager.obtain(['b.example.test'])];
		const theirs = await temporaryFolder();
		await writeForeign(theirs, {'a.crt': one.fullchain, 'a.key': other.privateKey as string});
		await expect(manager.adopt(theirs)).rejects.toMatchObject({diagnostics: [{code: 'key-does-not-match'}]});
		expect(await manager.list()).toEqual([]);
		await expect(manager.adopt(await temporaryFolder())).rejects.toThrow(/no certificate with its key/);
		expect(await findForeign(join(theirs, 'nowhere'))).toEqual([]);
	});
});
