import {expect} from 'vitest';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {fault} from './harness.ts';

fault('connection-authenticated', [mitKdc, apacheNegotiate], () => {
	const realm = useRealm();
	return async () => {
		const gatepass = await realm.gatepassWith({credentialCache: await realm.kdc.ticket()});
		for (let time = 0; time < 3; time++) {
			const {headers} = await gatepass.got(realm.url('http', '/bound'));
			expect(headers['x-remote-user']).toBe(`alice@${realm.kdc.realm}`);
		}
		return undefined;
	};
});
