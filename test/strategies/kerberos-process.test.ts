/** What Kerberos needs of the process that it runs in: the names that the resolver has, and free descriptors. */
import {execFile} from 'node:child_process';
import {writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {describe, test} from 'vitest';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {environmentWithHosts, nssWrapper} from '../servers/nss-wrapper.ts';
import {libraries, useRealm} from './kerberos-setup.ts';

const child = fileURLToPath(new URL('kerberos-context-child.ts', import.meta.url));

describeWith([mitKdc, apacheNegotiate, nssWrapper], 'the process that Kerberos runs in', () => {
	const realm = useRealm();

	describe.each(libraries)('over %s', library => {
		test.for([
			['alias', 'a token of'],
			['no alias', 'knows no service HTTP/www.gatepass.test'],
		] as const)(
			'a host with another canonical name, canonicalizeHostname: %s',
			async ([kind, outcome], {expect}) => {
				const hosts = join(realm.kdc.folder, 'hosts');
				await writeFile(hosts, '127.0.0.1 localhost www.gatepass.test\n');
				const {stdout} = await promisify(execFile)(
					process.execPath,
					[child, library, await realm.kdc.ticket(), 'HTTP@www.gatepass.test', kind],
					{env: {...process.env, ...environmentWithHosts(hosts)}},
				);
				expect(stdout).toContain(outcome);
			},
		);

		test('a process with 1,100 files open', async ({expect}) => {
			const {stdout} = await promisify(execFile)('sh', [
				...['-c', 'ulimit -n 4096; exec "$@"', 'sh'],
				...[process.execPath, child, library, await realm.kdc.ticket(), 'HTTP@localhost', '', '1100'],
			]);
			if (library === 'mit') {
				expect(stdout).toContain('a token of');
			} else {
				expect(stdout).toMatch(/this process has 1\d{3} files and connections open/);
				expect(stdout).toContain("'library: mit'");
				expect(stdout).not.toContain('No KDC of the realm answers');
			}
		});

		test('a KDC that is away, with few files open', async ({expect}) => {
			const ticket = await realm.kdc.ticket();
			await realm.kdc.stop();
			try {
				const {stdout} = await promisify(execFile)(process.execPath, [child, library, ticket]);
				expect(stdout).toContain('No KDC of the realm answers');
			} finally {
				await realm.kdc.restart();
			}
		});
	});
});
