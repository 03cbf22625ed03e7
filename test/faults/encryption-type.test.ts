import {join} from 'node:path';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {fault} from './harness.ts';

// A key table that was written for RC4 alone, as for an old domain.
fault('encryption-type', [mitKdc, apacheNegotiate], () => {
	const realm = useRealm();
	return async () => {
		const keytab = join(realm.kdc.folder, 'old.keytab');
		await realm.kdc.administer('addprinc -randkey old');
		await realm.kdc.administer(`ktadd -k ${keytab} -e arcfour-hmac:normal old`);
		const gatepass = await realm.gatepassWith({keytab, principal: `old@${realm.kdc.realm}`});
		return gatepass.diagnose(realm.url('http', '/negotiate'));
	};
});
