import {readFile} from 'node:fs/promises';
import {apache} from '../servers/apache.ts';
import {fault} from './harness.ts';
import {createPki, forServers} from './pki.ts';
import {startTls} from './tls-server.ts';

// Node's own server breaks the connection off, and sends no alert.
fault('foreign-certificate-reset', apache, () => async stage => {
	const pki = await createPki(await stage.folder());
	const other = await createPki(await stage.folder());
	const foreign = await other.issue('alice', ['extendedKeyUsage=clientAuth'], 'intermediate');
	const options = {requestCert: true, rejectUnauthorized: true, ca: await readFile(pki.root)};
	const {url} = stage.ended(await startTls(await pki.issue('server', forServers), options));
	const gatepass = await stage.open({
		trust: [{match: '127.0.0.1:*', ca: pki.root, only: true}],
		hostRules: [{match: '127.0.0.1:*', strategy: 'grid-certificate', options: {...foreign}}],
	});
	return gatepass.diagnose(url);
});
