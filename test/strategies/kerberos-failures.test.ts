import {chmod, copyFile, truncate, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {describe, test} from 'vitest';
import {CredentialUnavailableError} from '../../src/index.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {failureOf, libraries, useRealm} from './kerberos-setup.ts';

describeWith([mitKdc, apacheNegotiate], 'failures of Kerberos', () => {
	const realm = useRealm();

	describe.each(libraries)('over %s', library => {
		async function failure(options: Record<string, unknown>, host = 'localhost'): Promise<Error> {
			const gatepass = await realm.gatepassWith({library, ...options});
			return failureOf(gatepass.got(realm.url('http', '/negotiate', host), {retry: {limit: 0}}));
		}
		const principalOf = (name: string): string => `${name}@${realm.kdc.realm}`;

		test('a ticket of somebody else', async ({expect}) => {
			const error = await failure({
				credentialCache: await realm.kdc.ticket({principal: 'robot'}),
				principal: principalOf('alice'),
			});
			expect(error).toBeInstanceOf(CredentialUnavailableError);
			expect(error.message).toContain('kinit');
		});

		test('a wrong password, an unknown principal', async ({expect}) => {
			const password = 'canary-of-a-wrong-password';
			const wrong = await failure({principal: principalOf('alice'), password});
			expect(wrong).toBeInstanceOf(CredentialUnavailableError);
			expect(wrong.message).toContain("Correct 'password'");
			expect(JSON.stringify(wrong) + wrong.stack + wrong.message).not.toContain(password);
			const unknown = await failure({principal: principalOf('nobody'), password});
			expect(unknown.message).toContain(`no principal ${principalOf('nobody')}`);
		});

		test('key tables and caches that are no good', async ({expect}) => {
			const {folder, keytabs} = realm.kdc;
			const file = (name: string): string => join(folder, `${library}-${name}`);
			await writeFile(file('empty'), '');
			await writeFile(file('garbage'), 'this is no key table, nor a cache');
			await copyFile(keytabs.alice, file('torn.keytab'));
			await truncate(file('torn.keytab'), 20);
			await copyFile(await realm.kdc.ticket(), file('torn.cache'));
			await truncate(file('torn.cache'), 100);
			const principal = principalOf('alice');
			const bad = [
				{keytab: file('missing'), principal},
				{keytab: file('empty'), principal},
				{keytab: file('garbage'), principal},
				{keytab: file('torn.keytab'), principal},
				{keytab: keytabs.robot, principal},
				{keytab: folder, principal},
				{credentialCache: file('empty')},
				{credentialCache: file('garbage')},
				{credentialCache: file('torn.cache')},
				{credentialCache: folder},
			];
			for (const options of bad) {
				const error = await failure(options);
				expect(error, JSON.stringify(options)).toBeInstanceOf(CredentialUnavailableError);
				expect(error.message).toContain('keytab' in options ? options.keytab : 'kinit');
			}
		});

		test('a key table that is replaced while the process runs', async ({expect}) => {
			const keytab = join(realm.kdc.folder, `${library}-replaced.keytab`);
			await copyFile(realm.kdc.keytabs.alice, keytab);
			const gatepass = await realm.gatepassWith({library, keytab, principal: principalOf('alice')});
			const get = async () => gatepass.got(realm.url('http', '/negotiate'), {retry: {limit: 0}});
			expect((await get()).headers['x-remote-user']).toBe(principalOf('alice'));
			await copyFile(realm.kdc.keytabs.robot, keytab);
			expect(await failureOf(get())).toBeInstanceOf(CredentialUnavailableError);
			await copyFile(realm.kdc.keytabs.alice, keytab);
			expect((await get()).headers['x-remote-user']).toBe(principalOf('alice'));
		});

		test('status: principal, expiry, and until when it can be renewed', async ({expect}) => {
			const gatepass = await realm.gatepassWith({
				library,
				credentialCache: await realm.kdc.ticket({lifetime: '30m', renewable: '5h'}),
			});
			const [status] = await gatepass.status();
			expect(status?.available).toBe(true);
			expect(status?.detail).toContain(principalOf('alice'));
			expect(status?.detail).toMatch(/renewable until \d{4}-/);
			const minutes = ((status?.expiresAt ?? 0) - Date.now()) / 60_000;
			expect(minutes).toBeGreaterThan(28);
			expect(minutes).toBeLessThanOrEqual(30.1);
			const missing = await realm.gatepassWith({library, credentialCache: '/nowhere/at/all'});
			expect((await missing.status())[0]).toMatchObject({available: false});
		});

		test('status warns of a key table that others may read', async ({expect}) => {
			const keytab = join(realm.kdc.folder, `${library}-open.keytab`);
			await copyFile(realm.kdc.keytabs.alice, keytab);
			await chmod(keytab, 0o644);
			const gatepass = await realm.gatepassWith({library, keytab, principal: principalOf('alice')});
			const [status] = await gatepass.status();
			expect(status?.warnings?.join()).toContain(`chmod 600 ${keytab}`);
			await chmod(keytab, 0o600);
			expect((await gatepass.status())[0]?.warnings ?? []).toEqual([]);
		});
	});
});
