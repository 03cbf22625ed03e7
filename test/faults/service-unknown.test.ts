import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {fault} from './harness.ts';

fault('service-unknown', [mitKdc, apacheNegotiate], () => {
	const realm = useRealm();
	return async () => {
		const credentialCache = await realm.kdc.ticket();
		const gatepass = await realm.gatepassWith({credentialCache, hostname: 'alias.localhost'});
		return gatepass.diagnose(realm.url('http', '/negotiate'));
	};
});
