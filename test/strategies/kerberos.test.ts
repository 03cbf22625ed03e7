/** `kerberos` against MIT's KDC and Apache with mod_auth_gssapi, over MIT's and Heimdal's GSS-API. */
import {describe, expect, test} from 'vitest';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {libraries, useRealm} from './kerberos-setup.ts';

describeWith([mitKdc, apacheNegotiate], 'kerberos with a realm', () => {
	const realm = useRealm();

	describe.each(libraries)('over %s', library => {
		describe.each(['http', 'https'] as const)('%s', scheme => {
			test.for(['cache', 'keytab', 'password'] as const)(
				'a ticket by %s is let in',
				async (source, {expect}) => {
					const {kdc} = realm;
					const principal = `alice@${kdc.realm}`;
					const options = {
						cache: {credentialCache: await kdc.ticket()},
						keytab: {keytab: kdc.keytabs.alice, principal},
						password: {password: kdc.password, principal},
					}[source];
					const gatepass = await realm.gatepassWith({library, ...options});
					const response = await gatepass.got(realm.url(scheme, '/negotiate'));
					expect(response.statusCode).toBe(200);
					expect(response.headers['x-remote-user']).toBe(principal);
					expect(response.body).toBe('served by Apache\n');
				},
			);
		});
	});
	void expect;
});
