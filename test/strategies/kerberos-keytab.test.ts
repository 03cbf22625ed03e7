/** Key tables with odd contents, and caches beside them: what works is found, and the true cause named. */
import {mkdir, readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {CredentialUnavailableError} from '../../src/index.ts';
import {entriesIn} from '../../strategies/kerberos/keytab-file.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {withKeyType} from './kerberos-key-table.ts';
import {failureOf, libraries, useRealm} from './kerberos-setup.ts';

describeWith([mitKdc, apacheNegotiate], 'key tables', () => {
	const realm = useRealm();

	async function folderFor(library: string): Promise<string> {
		const folder = join(realm.kdc.folder, `keytabs-${library}`);
		await mkdir(folder, {recursive: true});
		return folder;
	}
	async function userOf(options: Record<string, unknown>): Promise<unknown> {
		const gatepass = await realm.gatepassWith(options);
		const {headers} = await gatepass.got(realm.url('http', '/negotiate'), {retry: {limit: 0}});
		return headers['x-remote-user'];
	}

	describe.each(libraries)('over %s', library => {
		test('escaped names are found, by their realm or without', async () => {
			const {kdc} = realm;
			const keytab = join(await folderFor(library), 'escaped.keytab');
			const name = `robot\\@${library}.example.org`;
			await kdc.administer(`addprinc -randkey ${name}`);
			await kdc.administer(`ktadd -k ${keytab} ${name}`);
			expect(entriesIn(keytab)[0]?.principal).toBe(`${name}@${kdc.realm}`);
			for (const principal of [`${name}@${kdc.realm}`, name, undefined]) {
				expect(await userOf({library, keytab, principal})).toBe(`${name}@${kdc.realm}`);
			}
			const missing = await failureOf(userOf({library, keytab, principal: `robot@${kdc.realm}`}));
			expect(missing.message).toContain(`has keys of ${name}@${kdc.realm}, and none of robot@${kdc.realm}`);
		});

		test('only unusual encryption types are named as the cause', async () => {
			const {kdc} = realm;
			const keytab = join(await folderFor(library), 'old.keytab');
			await writeFile(keytab, withKeyType(await readFile(kdc.keytabs.alice), 3));
			const error = await failureOf(userOf({library, keytab, principal: `alice@${kdc.realm}`}));
			expect(error).toBeInstanceOf(CredentialUnavailableError);
			expect(error.message).toContain(`only unusual keys of alice@${kdc.realm}: des-cbc-md5 (3)`);
			expect(error.message).toContain('with AES keys');
		});

		test('newer AES needs a KDC with session keys of it over Heimdal, which asks for nothing else', async () => {
			const {kdc} = realm;
			const keytab = join(await folderFor(library), 'newer.keytab');
			const type = 'aes256-cts-hmac-sha384-192';
			await kdc.administer(`addprinc -randkey -e ${type}:normal newer-${library}`);
			await kdc.administer(`ktadd -k ${keytab} -e ${type}:normal newer-${library}`);
			if (library === 'mit') {
				expect(await userOf({library, keytab})).toBe(`newer-mit@${kdc.realm}`);
				return;
			}
			const error = await failureOf(userOf({library, keytab}));
			expect(error.message).toContain(`only unusual keys of newer-heimdal@${kdc.realm}: ${type} (20)`);
			expect(error.message).toContain('such as aes256-cts-hmac-sha1-96');
		});

		test('usual types are not blamed', async () => {
			const {kdc} = realm;
			const keytab = join(await folderFor(library), 'changed.keytab');
			await kdc.administer(`addprinc -randkey changed-${library}`);
			await kdc.administer(`ktadd -k ${keytab} changed-${library}`);
			await kdc.administer(`cpw -randkey changed-${library}`);
			const error = await failureOf(userOf({library, keytab}));
			expect(error).toBeInstanceOf(CredentialUnavailableError);
			expect(error.message).not.toContain('unusual');
			expect(error.message).toContain('they were changed since');
		});

		test("another principal's cache beside a key table is not written over, and named", async () => {
			const {kdc} = realm;
			const credentialCache = await kdc.ticket({principal: 'robot'});
			const before = await readFile(credentialCache);
			const options = {library, keytab: kdc.keytabs.alice, credentialCache, principal: `alice@${kdc.realm}`};
			for (const one of [options, {...options, principal: undefined}]) {
				const error = await failureOf(userOf(one));
				expect(error).toBeInstanceOf(CredentialUnavailableError);
				expect(error.message).toContain(`holds tickets of robot@${kdc.realm}`);
				expect(error.message).toContain("Leave 'credentialCache' out");
			}
			expect(await readFile(credentialCache)).toEqual(before);
		});

		test.for(['no', 'an empty', 'its own'])('%s cache beside a key table is filled', async which => {
			const {kdc} = realm;
			const credentialCache = join(await folderFor(library), `${which.replace(' ', '-')}-cache`);
			if (which === 'an empty') await writeFile(credentialCache, '');
			if (which === 'its own') await kdc.ticket({cache: credentialCache});
			const options = {library, keytab: kdc.keytabs.alice, credentialCache, principal: `alice@${kdc.realm}`};
			expect(await userOf(options)).toBe(`alice@${kdc.realm}`);
			// It serves by itself, too.
			expect(await userOf({library, credentialCache})).toBe(`alice@${kdc.realm}`);
		});
	});
});
