import {chmod} from 'node:fs/promises';
import {join} from 'node:path';
import {expect} from 'vitest';
import {apache} from '../servers/apache.ts';
import {errorOf, fault} from './harness.ts';
import {createPki} from './pki.ts';

fault('pkcs12-passphrase', apache, () => async stage => {
	const folder = await stage.folder();
	const pki = await createPki(folder);
	const {certificate, key} = await pki.issue('alice', ['extendedKeyUsage=clientAuth']);
	const open = async (name: string, flags: readonly string[], passphrase: string) => {
		const files = ['-in', certificate, '-inkey', key, '-out', `${name}.p12`];
		await pki.openssl('pkcs12', '-export', ...flags, ...files, '-passout', 'pass:right');
		await chmod(join(folder, `${name}.p12`), 0o600);
		const options = {pkcs12: join(folder, `${name}.p12`), passphrase};
		return stage.open({hostRules: [{match: 'api.example.org', strategy: 'grid-certificate', options}]});
	};
	// The legacy encryption, which OpenSSL 3 calls "unsupported", is not what is wrong.
	const legacy = await open('legacy', ['-legacy'], 'right');
	expect(await legacy.authorize('https://api.example.org/')).toHaveProperty('tls.cert');
	return errorOf((await open('present', [], 'wrong')).authorize('https://api.example.org/'));
});
