import {readFile} from 'node:fs/promises';
import {apache} from '../servers/apache.ts';
import {errorOf, fault, once} from './harness.ts';
import {createPki, forServers} from './pki.ts';
import {startTls} from './tls-server.ts';

fault('reset-after-handshake', apache, () => async stage => {
	const pki = await createPki(await stage.folder());
	const alice = await pki.issue('alice', ['extendedKeyUsage=clientAuth']);
	const options = {requestCert: true, rejectUnauthorized: false, ca: await readFile(pki.root)};
	const breakOff = (socket: {destroy(): unknown}): void => void socket.destroy();
	const {url} = stage.ended(await startTls(await pki.issue('server', forServers), options, breakOff));
	const gatepass = await stage.open({
		trust: [{match: '127.0.0.1:*', ca: pki.root, only: true}],
		hostRules: [{match: '127.0.0.1:*', strategy: 'grid-certificate', options: {...alice}}],
	});
	return errorOf(gatepass.got(url, once));
});
