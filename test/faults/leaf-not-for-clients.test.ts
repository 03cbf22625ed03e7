import {apache, startApacheWith} from '../servers/apache.ts';
import {errorOf, fault, once} from './harness.ts';
import {createPki, forServers} from './pki.ts';

fault('leaf-not-for-clients', apache, () => async stage => {
	const pki = await createPki(await stage.folder());
	const server = await pki.issue('server', forServers);
	const renewed = await pki.issue('renewed', ['extendedKeyUsage=serverAuth']);
	const {urls} = stage.ended(await startApacheWith({ca: pki.root, crl: pki.crl, server}));
	const gatepass = await stage.open({
		trust: [{match: '127.0.0.1:*', ca: pki.root, only: true}],
		hostRules: [{match: '127.0.0.1:*', strategy: 'grid-certificate', options: {...renewed}}],
	});
	return errorOf(gatepass.got(urls['TLSv1.3'], once));
});
