import {readFile} from 'node:fs/promises';
import {getCACertificates, setDefaultCACertificates} from 'node:tls';
import {apache} from '../servers/apache.ts';
import {errorOf, fault, once} from './harness.ts';
import {createPki, forServers} from './pki.ts';
import {startTls} from './tls-server.ts';

fault('extra-ca-left-out', apache, () => async stage => {
	const pki = await createPki(await stage.folder());
	const other = await createPki(await stage.folder());
	const {url} = stage.ended(await startTls(await pki.issue('server', forServers)));
	// As NODE_EXTRA_CA_CERTS, which counts at the start of a process only.
	const before = getCACertificates('default');
	setDefaultCACertificates([...before, await readFile(pki.root, 'utf8')]);
	stage.ended({close: () => setDefaultCACertificates(before)});
	const gatepass = await stage.open({trust: [{match: '127.0.0.1:*', ca: other.root, only: true}]});
	return errorOf(gatepass.got(url, once));
});
