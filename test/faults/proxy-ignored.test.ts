import {startServer} from '../../src/testing/server.ts';
import {fault} from './harness.ts';

fault('proxy-ignored', [], () => async stage => {
	const {url} = stage.ended(await startServer((_, response) => void response.end('reached')));
	const gatepass = await stage.open(
		{hostRules: [{match: url, strategy: 'static-token', options: {token: 'abc'}}]},
		{env: {HTTP_PROXY: 'http://proxy.example.org:3128'}},
	);
	return gatepass.diagnose(url);
});
