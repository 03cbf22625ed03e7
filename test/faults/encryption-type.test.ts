import {join} from 'node:path';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {fault} from './harness.ts';

// A key table with keys of one type alone, which Heimdal and this KDC do not have in common.
fault('encryption-type', [mitKdc, apacheNegotiate], () => {
	const realm = useRealm();
	return async () => {
		const keytab = join(realm.kdc.folder, 'newer.keytab');
		const only = '-e aes256-cts-hmac-sha384-192:normal';
		await realm.kdc.administer(`addprinc -randkey ${only} newer`);
		await realm.kdc.administer(`ktadd -k ${keytab} ${only} newer`);
		const principal = `newer@${realm.kdc.realm}`;
		const gatepass = await realm.gatepassWith({library: 'heimdal', keytab, principal});
		return gatepass.diagnose(realm.url('http', '/negotiate'));
	};
});
