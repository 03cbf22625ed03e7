/** Folders of other ACME clients become lineages, which are renewed; their files stay as they are. */
import {X509Certificate} from 'node:crypto';
import {mkdir, readFile, writeFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';
import {expect, test} from 'vitest';
import {findForeign} from '../../../src/lineages/certbot/foreign-folders.ts';
import {managerAt, temporaryFolder} from '../../certificates/stage.ts';
import {pebbleFor} from '../../issuers/acme/stage.ts';
import {describeWith} from '../../servers/availability.ts';
import {pebble} from '../../servers/pebble.ts';

type Contents = Readonly<Record<'certificate' | 'chain' | 'fullchain' | 'privateKey', string>>;

/** As each program lays its files out. */
const programs: Readonly<Record<string, (one: Contents) => Record<string, string>>> = {
	lego: ({fullchain, chain, privateKey}) => ({
		'certificates/a.example.test.crt': fullchain,
		'certificates/a.example.test.issuer.crt': chain,
		'certificates/a.example.test.key': privateKey,
		'certificates/a.example.test.json': '{"domain": "a.example.test"}',
		'accounts/ca.example.org/me/account.json': '{}',
	}),
	dehydrated: ({certificate, chain, fullchain, privateKey}) => ({
		'certs/a.example.test/cert.pem': certificate,
		'certs/a.example.test/chain.pem': chain,
		'certs/a.example.test/fullchain.pem': fullchain,
		'certs/a.example.test/privkey.pem': privateKey,
		'accounts/x/account_key.pem': privateKey,
	}),
	uacme: ({fullchain, privateKey}) => ({
		'a.example.test/cert.pem': fullchain,
		'private/a.example.test/key.pem': privateKey,
		'private/key.pem': privateKey,
	}),
	acmetool: ({certificate, chain, fullchain, privateKey}) => ({
		'live/a.example.test/cert': certificate,
		'live/a.example.test/chain': chain,
		'live/a.example.test/fullchain': fullchain,
		'live/a.example.test/privkey': privateKey,
	}),
	mod_md: ({fullchain, privateKey}) => ({
		'domains/a.example.test/pubcert.pem': fullchain,
		'domains/a.example.test/privkey.pem': privateKey,
		'domains/a.example.test/md.json': '{}',
	}),
	'acme-tiny': ({fullchain, privateKey}) => ({
		'a.example.test.crt': fullchain,
		'a.example.test.key': privateKey,
		'account.key': privateKey,
	}),
};

async function write(folder: string, files: Record<string, string>): Promise<void> {
	for (const [file, content] of Object.entries(files)) {
		await mkdir(dirname(join(folder, file)), {recursive: true});
		await writeFile(join(folder, file), content);
	}
}

describeWith(pebble, 'a folder', () => {
	test.each(Object.entries(programs))(
		'of %s is adopted, renewed, and left as it is',
		async (program, lay) => {
			const server = await pebbleFor({nonceReject: 0});
			const {manager, folder} = await managerAt(server);
			const obtained = await manager.obtain(['a.example.test']);
			const files = lay(obtained as Contents);
			const theirs = await temporaryFolder();
			await write(theirs, files);
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
		await write(theirs, {'a.crt': one.fullchain, 'a.key': other.privateKey as string});
		await expect(manager.adopt(theirs)).rejects.toMatchObject({diagnostics: [{code: 'key-does-not-match'}]});
		expect(await manager.list()).toEqual([]);
		await expect(manager.adopt(await temporaryFolder())).rejects.toThrow(/no certificate with its key/);
		expect(await findForeign(join(theirs, 'nowhere'))).toEqual([]);
	});
});
