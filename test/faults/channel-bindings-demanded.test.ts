import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {cbtAcceptor, startCbtAcceptor} from '../servers/cbt-acceptor.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {fault} from './harness.ts';

fault('channel-bindings-demanded', [mitKdc, apacheNegotiate, cbtAcceptor], () => {
	const realm = useRealm();
	return async stage => {
		const {tls, ca} = realm.server;
		const {url, close} = await startCbtAcceptor(realm.kdc, tls, 'sha256');
		stage.ended({close});
		const options = {credentialCache: await realm.kdc.ticket(), channelBindings: false};
		const gatepass = await stage.open({
			trust: [{match: 'localhost:*', ca, only: true}],
			hostRules: [{match: url, strategy: 'kerberos', options}],
		});
		return gatepass.diagnose(`${url}/strict`);
	};
});
