import {join} from 'node:path';
import {expect} from 'vitest';
import {CredentialUnavailableError} from '../../src/index.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {errorOf, fault, once} from './harness.ts';

fault('failure-kept', [mitKdc, apacheNegotiate], () => {
	const realm = useRealm();
	return async () => {
		const credentialCache = join(realm.kdc.folder, 'later');
		const gatepass = await realm.gatepassWith({credentialCache});
		const url = realm.url('http', '/negotiate');
		expect(await errorOf(gatepass.got(url, once))).toBeInstanceOf(CredentialUnavailableError);
		await realm.kdc.ticket({cache: credentialCache});
		expect((await gatepass.got(url)).statusCode).toBe(200);
		return undefined;
	};
});
