import {apache} from '../servers/apache.ts';
import {errorOf, fault, once} from './harness.ts';
import {createPki, forServers} from './pki.ts';
import {startTls} from './tls-server.ts';

fault('server-chain-incomplete', apache, () => async stage => {
	const pki = await createPki(await stage.folder());
	const extensions = [...forServers, 'authorityInfoAccess=caIssuers;URI:http://127.0.0.1/intermediate.der'];
	const {url} = stage.ended(await startTls(await pki.issue('server', extensions, 'intermediate')));
	const gatepass = await stage.open({trust: [{match: '127.0.0.1:*', ca: pki.root, only: true}]});
	return errorOf(gatepass.got(url, once));
});
