import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {fault} from './harness.ts';

fault('kdc-down', [mitKdc, apacheNegotiate], () => {
	const realm = useRealm();
	return async () => {
		const {keytabs, realm: name} = realm.kdc;
		const gatepass = await realm.gatepassWith({keytab: keytabs.robot, principal: `robot@${name}`});
		await realm.kdc.stop();
		return gatepass.diagnose(realm.url('http', '/negotiate'));
	};
});
