/** A server that refuses all tickets does not have the KDC kept busy. */
import {describe, test} from 'vitest';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {describeWith} from '../servers/availability.ts';
import {mitKdc} from '../servers/kdc.ts';
import {startMeddler} from './kerberos-meddler.ts';
import {libraries, useRealm} from './kerberos-setup.ts';

describeWith([mitKdc, apacheNegotiate], 'tickets that are refused', () => {
	const realm = useRealm();

	describe.each(libraries)('over %s', library => {
		test.for(['keytab', 'password'] as const)(
			'by %s: they are renewed, but not for each request',
			async (source, {expect}) => {
				const {kdc} = realm;
				// With a password, MIT's library fetches one for each mechanism.
				const perFetch = library === 'mit' && source === 'password' ? 2 : 1;
				const own = source === 'keytab' ? {keytab: kdc.keytabs.alice} : {password: kdc.password};
				const gatepass = await realm.gatepassWith({library, principal: `alice@${kdc.realm}`, ...own});
				const meddler = await startMeddler(realm.url('http', ''), answer => {
					answer.status = 401;
					answer.headers['www-authenticate'] = 'Negotiate';
				});
				const url = `${meddler.url.replace('127.0.0.1', 'localhost')}/negotiate`;
				const began = Date.now();
				const before = kdc.initialTickets();
				for (let round = 0; round < 3; round++) {
					const answers = await Promise.all(
						Array.from({length: 40}, () => gatepass.got(url, {throwHttpErrors: false})),
					);
					expect(answers.every(({statusCode}) => statusCode === 401)).toBe(true);
				}
				// The first one, one because of the first refusal, and one more every five seconds.
				const most = perFetch * (2 + Math.floor((Date.now() - began) / 5000));
				await expect.poll(() => kdc.initialTickets() - before).toBeGreaterThanOrEqual(2 * perFetch);
				expect(kdc.initialTickets() - before).toBeLessThanOrEqual(most);
				await meddler.close();
			},
		);
	});
});
