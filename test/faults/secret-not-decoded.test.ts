import {answerJson, startServer} from '../../src/testing/server.ts';
import {fault} from './harness.ts';

// A server that compares the header as it is.
fault('secret-not-decoded', [], () => async stage => {
	const {url} = stage.ended(
		await startServer(({headers}, response) => {
			const [, text = ''] = String(headers.authorization).split(' ');
			const isRight = Buffer.from(text, 'base64').toString() === 'reader:s3cr/et+';
			answerJson(
				response,
				isRight ? 200 : 401,
				isRight ? {access_token: 'a', token_type: 'Bearer'} : {error: 'invalid_client'},
			);
		}),
	);
	const options = {
		tokenEndpoint: `${url}/token`,
		clientId: 'reader',
		clientSecret: 's3cr/et+',
		clientAuthentication: 'client_secret_basic',
	};
	const gatepass = await stage.open({
		hostRules: [{match: url, strategy: 'sso-client-credentials', options}],
	});
	const {diagnostics} = await gatepass.diagnose(`${url}/runs`);
	return diagnostics;
});
