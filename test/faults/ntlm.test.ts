import {startServer} from '../../src/testing/server.ts';
import {apacheNegotiate} from '../servers/apache-negotiate.ts';
import {mitKdc} from '../servers/kdc.ts';
import {useRealm} from '../strategies/kerberos-setup.ts';
import {fault} from './harness.ts';

/** The challenge message of NTLM (MS-NLMP section 2.2.1.2), as Windows sends it; there is none on this machine. */
const challenge = Buffer.from('4e544c4d53535000020000000000000038000000', 'hex').toString('base64');

fault('ntlm', [mitKdc, apacheNegotiate], () => {
	const realm = useRealm();
	return async stage => {
		const {url} = stage.ended(
			await startServer(
				({headers}, response) =>
					void response
						.writeHead(401, {
							'www-authenticate':
								headers.authorization === undefined ? 'Negotiate' : `Negotiate ${challenge}`,
						})
						.end(),
			),
		);
		const gatepass = await realm.gatepassWith({credentialCache: await realm.kdc.ticket()});
		return gatepass.diagnose(url.replace('127.0.0.1', 'localhost'));
	};
});
