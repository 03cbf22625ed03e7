import {apache, startApacheWith} from '../servers/apache.ts';
import {createGridPki} from '../servers/grid-pki.ts';
import {gridProxyTools, makeProxy} from '../servers/grid-proxies.ts';
import {errorOf, fault, once} from './harness.ts';

// Apache takes no proxies unless it is told to by a variable of OpenSSL's.
fault('proxy-certificate-refused', [apache, gridProxyTools], () => async stage => {
	const pki = stage.ended(await createGridPki());
	const proxy = await makeProxy(pki, 'proxy', pki.users.alice);
	const {urls} = stage.ended(await startApacheWith(pki));
	const gatepass = await stage.open({
		trust: [{match: '127.0.0.1:*', ca: pki.ca, only: true}],
		hostRules: [{match: '127.0.0.1:*', strategy: 'grid-certificate', options: {proxy}}],
	});
	return errorOf(gatepass.got(urls['TLSv1.3'], once));
});
