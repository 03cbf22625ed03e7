import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {fault} from './harness.ts';

fault('cache-of-the-host', [mitKdc, apacheNegotiate], () => {
	const realm = useRealm();
	return async () => {
		const gatepass = await realm.gatepassWith({library: 'mit', credentialCache: 'KCM:1000'});
		return gatepass.diagnose(realm.url('http', '/negotiate'));
	};
});
