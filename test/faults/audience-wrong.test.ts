import {expect} from 'vitest';
import {answerJson, startServer} from '../../src/testing/server.ts';
import {fault} from './harness.ts';
import {now, unsignedToken} from './oauth.ts';

// As Keycloak without an audience mapper: what was asked for is not what the token is for.
fault('audience-wrong', [], () => async stage => {
	const token = unsignedToken({aud: 'account', scope: 'profile', exp: now() + 300});
	const challenge = {'www-authenticate': 'Bearer error="invalid_token"'};
	const {url} = stage.ended(
		await startServer(({method}, response) =>
			method === 'POST'
				? answerJson(response, 200, {access_token: token, token_type: 'Bearer', expires_in: 300})
				: answerJson(response, 401, {}, challenge),
		),
	);
	const client = {clientId: 'reader', clientSecret: 'secret', audience: 'runs-api'};
	const options = {...client, tokenEndpoint: `${url}/token`};
	const gatepass = await stage.open({hostRules: [{match: url, strategy: 'sso-client-credentials', options}]});
	const {diagnostics} = await gatepass.diagnose(`${url}/runs`);
	expect(JSON.stringify(diagnostics)).not.toContain(token);
	return diagnostics;
});
