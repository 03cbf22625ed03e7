import {apache} from '../servers/apache.ts';
import {nginx, startNginx} from '../servers/nginx.ts';
import {fault} from './harness.ts';
import {createPki, forServers} from './pki.ts';

fault('nginx-refuses-by-page', [nginx, apache], () => async stage => {
	const pki = await createPki(await stage.folder());
	const other = await createPki(await stage.folder());
	// A root of the same name would be taken for the one that nginx knows.
	const foreign = await other.issue('alice', ['extendedKeyUsage=clientAuth'], 'intermediate');
	const server = await pki.issue('server', forServers);
	const {urls} = stage.ended(await startNginx({ca: pki.root, crl: pki.crl, server}));
	const gatepass = await stage.open({
		trust: [{match: '127.0.0.1:*', ca: pki.root, only: true}],
		hostRules: [{match: '127.0.0.1:*', strategy: 'grid-certificate', options: {...foreign}}],
	});
	return gatepass.diagnose(urls['TLSv1.3']);
});
