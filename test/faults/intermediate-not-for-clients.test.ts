import {apache, startApacheWith} from '../servers/apache.ts';
import {errorOf, fault, once} from './harness.ts';
import {createPki, forServers} from './pki.ts';

fault('intermediate-not-for-clients', apache, () => async stage => {
	const pki = await createPki(await stage.folder(), ['extendedKeyUsage=serverAuth']);
	const server = await pki.issue('server', forServers);
	const {certificate, key} = await pki.issue('alice', ['extendedKeyUsage=clientAuth'], 'intermediate');
	const chain = await pki.join('chain.pem', certificate, pki.intermediate);
	const {urls} = stage.ended(await startApacheWith({ca: pki.root, crl: pki.crl, server}));
	const gatepass = await stage.open({
		trust: [{match: '127.0.0.1:*', ca: pki.root, only: true}],
		hostRules: [{match: '127.0.0.1:*', strategy: 'grid-certificate', options: {certificate: chain, key}}],
	});
	return errorOf(gatepass.got(urls['TLSv1.2'], once));
});
