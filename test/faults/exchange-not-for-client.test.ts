import {answerJson, startServer} from '../../src/testing/server.ts';
import {errorOf, fault} from './harness.ts';
import {now, unsignedToken} from './oauth.ts';

// As Keycloak answers; there is none on this machine.
fault('exchange-not-for-client', [], () => async stage => {
	const description = 'Client is not within the token audience';
	const {url} = stage.ended(
		await startServer((_, response) =>
			answerJson(response, 403, {error: 'access_denied', error_description: description}),
		),
	);
	const options = {
		tokenEndpoint: `${url}/token`,
		clientId: 'run-archiver',
		clientSecret: 'secret',
		audience: 'archive',
		subjectToken: {variable: 'SUBJECT'},
	};
	const SUBJECT = unsignedToken({sub: 'alice', aud: 'reports-api', azp: 'frontend', exp: now() + 300});
	const gatepass = await stage.open(
		{hostRules: [{match: 'archive.example.org', strategy: 'sso-token-exchange', options}]},
		{env: {SUBJECT}},
	);
	return errorOf(gatepass.authorize('https://archive.example.org/'));
});
