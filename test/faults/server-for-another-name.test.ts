import {createTestAuthority} from '../../src/testing/authority.ts';
import {fault} from './harness.ts';
import {startTls} from './tls-server.ts';

fault('server-for-another-name', [], () => async stage => {
	const authority = stage.ended(await createTestAuthority());
	const files = await authority.issue('server', {subject: 'CN=www', hosts: ['www.example.org']});
	const {url} = stage.ended(await startTls(files));
	const gatepass = await stage.open({trust: [{match: '127.0.0.1:*', ca: authority.ca, only: true}]});
	return gatepass.diagnose(url);
});
