import {answerJson, startServer} from '../../src/testing/server.ts';
import {errorOf, fault} from './harness.ts';

fault('nonce-for-ever', [], () => async stage => {
	let nonces = 0;
	const {url} = stage.ended(
		await startServer((_, response) => {
			nonces += 1;
			answerJson(response, 400, {error: 'use_dpop_nonce'}, {'dpop-nonce': `nonce-${nonces}`});
		}),
	);
	const options = {tokenEndpoint: `${url}/token`, clientId: 'reader', clientSecret: 'secret', dpop: true};
	const gatepass = await stage.open({
		hostRules: [{match: 'api.example.org', strategy: 'sso-client-credentials', options}],
	});
	return errorOf(gatepass.authorize('https://api.example.org/'));
});
