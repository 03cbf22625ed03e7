/** `kerberos` as it is packed: JavaScript in a plain Node process, which ends by itself; and the conformance kit. */
import {execFile} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {describe, test} from 'vitest';
import {conformance} from '../../src/testing/index.ts';
import {KerberosStrategy} from '../../strategies/kerberos/index.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {libraries, useRealm} from './kerberos-setup.ts';

const program = `
import {createGatepass} from 'gatepass';
const [url, library, cache, close] = process.argv.slice(1);
const gatepass = await createGatepass({config: {
	cache: {url: 'memory:'},
	hostRules: [{match: new URL(url).origin, strategy: 'kerberos', options: {library, credentialCache: cache}}],
}});
const {headers} = await gatepass.got(url);
console.log(headers['x-remote-user']);
if (close === 'close') await gatepass.close();
`;

describeWith([mitKdc, apacheNegotiate], 'kerberos as it is packed', () => {
	const realm = useRealm();

	describe.each(libraries)('over %s', library => {
		test.for(['close', 'no close'])(
			'a plain process gets its answer and ends (%s)',
			async (close, {expect}) => {
				const {stdout} = await promisify(execFile)(
					process.execPath,
					[
						...['--input-type=module', '--eval', program],
						...[realm.url('http', '/negotiate'), library, await realm.kdc.ticket(), close],
					],
					{
						cwd: fileURLToPath(new URL('../..', import.meta.url)),
						env: {...process.env, KRB5_CONFIG: realm.kdc.configuration},
						timeout: 120_000,
					},
				);
				expect(stdout).toBe(`alice@${realm.kdc.realm}\n`);
			},
		);

		test.for([{}, {preemptive: true}, {mutualAuthentication: 'optional'}])(
			'it passes the conformance kit with %j',
			async (options, {expect}) => {
				const passed = await conformance(KerberosStrategy, {
					options: {library, credentialCache: await realm.kdc.ticket(), channelBindings: false, ...options},
					url: 'https://localhost/path',
				});
				expect(passed).toHaveLength(14);
			},
		);

		test('it passes the conformance kit without a ticket', async ({expect}) => {
			const options = {
				library,
				principal: `alice@${realm.kdc.realm}`,
				password: 'canary-of-a-wrong-password',
			};
			expect(await conformance(KerberosStrategy, {options})).toHaveLength(14);
		});

		test('canonicalizeHostname asks for the name that the resolver has for an alias', async ({expect}) => {
			const options = {library, credentialCache: await realm.kdc.ticket(), canonicalizeHostname: true};
			const gatepass = await realm.gatepassWith(options);
			const {headers} = await gatepass.got(realm.url('http', '/negotiate', '127.0.0.1'));
			expect(headers['x-remote-user']).toBe(`alice@${realm.kdc.realm}`);
		});
	});
});
