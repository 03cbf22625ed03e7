import {createTestAuthority} from '../../src/testing/authority.ts';
import {fault} from './harness.ts';
import {startTls} from './tls-server.ts';

fault('server-expired', [], () => async stage => {
	const authority = stage.ended(await createTestAuthority());
	const times = {notBefore: Date.now() - 3_600_000, notAfter: Date.now() - 60_000};
	const files = await authority.issue('server', {subject: 'CN=www', hosts: ['127.0.0.1'], ...times});
	const {url} = stage.ended(await startTls(files));
	const gatepass = await stage.open({trust: [{match: '127.0.0.1:*', ca: authority.ca, only: true}]});
	return gatepass.diagnose(url);
});
