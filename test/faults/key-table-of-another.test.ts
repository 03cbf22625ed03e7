import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {fault} from './harness.ts';

fault('key-table-of-another', [mitKdc, apacheNegotiate], () => {
	const realm = useRealm();
	return async () => {
		const principal = `alice@${realm.kdc.realm.toLowerCase()}`;
		const gatepass = await realm.gatepassWith({keytab: realm.kdc.keytabs.alice, principal});
		return gatepass.diagnose(realm.url('http', '/negotiate'));
	};
});
