import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {errorOf, fault, once} from './harness.ts';

// What asks for the tunnel is below: whoever goes through a proxy of its own cannot answer its challenge.
fault('tunnel-challenge', [mitKdc, apacheNegotiate], () => {
	const realm = useRealm();
	return async () => {
		const credentialCache = await realm.kdc.ticket();
		const gatepass = await realm.gatepassWith({credentialCache, proxy: true, hostname: 'localhost'});
		return errorOf(gatepass.got(realm.url('https', '/negotiate'), once));
	};
});
