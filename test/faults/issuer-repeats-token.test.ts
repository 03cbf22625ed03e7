import {answerJson, startServer} from '../../src/testing/server.ts';
import {fault} from './harness.ts';

fault('issuer-repeats-token', [], () => async stage => {
	const {url} = stage.ended(
		await startServer(({method}, response) =>
			method === 'POST'
				? answerJson(response, 200, {access_token: 'revoked', token_type: 'Bearer', expires_in: 600})
				: answerJson(
						response,
						401,
						{error: 'invalid_token'},
						{'www-authenticate': 'Bearer error="invalid_token"'},
					),
		),
	);
	const options = {tokenEndpoint: `${url}/token`, clientId: 'reader', clientSecret: 'secret'};
	const gatepass = await stage.open({hostRules: [{match: url, strategy: 'sso-client-credentials', options}]});
	return gatepass.diagnose(`${url}/runs`);
});
