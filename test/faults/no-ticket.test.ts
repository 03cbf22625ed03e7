import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {fault} from './harness.ts';

fault('no-ticket', [mitKdc, apacheNegotiate], () => {
	const realm = useRealm();
	return async () => {
		const gatepass = await realm.gatepassWith({credentialCache: '/nowhere/krb5cc'});
		return gatepass.diagnose(realm.url('http', '/negotiate'));
	};
});
