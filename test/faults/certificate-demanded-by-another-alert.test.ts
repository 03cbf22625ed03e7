import {apache, startApacheMtls} from '../servers/apache.ts';
import {fault} from './harness.ts';

// Before TLS 1.3 there is no alert of that name: Apache sends `handshake_failure` (40).
fault('certificate-demanded-by-another-alert', apache, () => async stage => {
	const server = stage.ended(await startApacheMtls());
	const gatepass = await stage.open({trust: [{match: '127.0.0.1:*', ca: server.ca, only: true}]});
	return gatepass.diagnose(server.urls['TLSv1.2']);
});
