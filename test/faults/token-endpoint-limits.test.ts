import {expect} from 'vitest';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {errorOf, fault} from './harness.ts';

fault('token-endpoint-limits', [], () => async stage => {
	const {url} = stage.ended(
		await startServer((_, response) => answerJson(response, 429, {}, {'retry-after': '30'})),
	);
	const options = {tokenEndpoint: `${url}/token`, clientId: 'reader', clientSecret: 'secret'};
	const gatepass = await stage.open({
		hostRules: [{match: 'api.example.org', strategy: 'sso-client-credentials', options}],
	});
	const error = await errorOf(gatepass.authorize('https://api.example.org/'));
	expect(error.message).toContain('30 s');
	return error;
});
