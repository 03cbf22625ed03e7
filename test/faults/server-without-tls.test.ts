import {startServer} from '../../src/testing/server.ts';
import {fault} from './harness.ts';

fault('server-without-tls', [], () => async stage => {
	const {url} = stage.ended(await startServer((_, response) => void response.end('plain')));
	const gatepass = await stage.open({});
	return gatepass.diagnose(url.replace('http:', 'https:'));
});
