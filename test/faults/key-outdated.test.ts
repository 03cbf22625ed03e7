import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {fault} from './harness.ts';

fault('key-outdated', [mitKdc, apacheNegotiate], () => {
	const realm = useRealm();
	return async () => {
		const gatepass = await realm.gatepassWith({credentialCache: await realm.kdc.ticket()});
		const url = realm.url('http', '/negotiate');
		// The ticket for the service is fetched, and kept.
		await gatepass.got(url);
		const table = join(realm.kdc.folder, 'new.keytab');
		await realm.kdc.administer(`ktadd -k ${table} HTTP/localhost`);
		await writeFile(realm.server.keytab, await readFile(table));
		return gatepass.diagnose(url);
	};
});
