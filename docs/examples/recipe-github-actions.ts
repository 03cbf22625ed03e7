/** A configuration for jobs of GitHub Actions, which have a token of their own and no secret. */
// #region config
import {defineConfig} from 'gatepass';

export default defineConfig({
	cache: {url: 'memory:'},
	hostRules: [
		{
			match: 'https://api.example.org',
			strategy: 'sso-client-credentials',
			options: {
				tokenEndpoint: 'https://login.example.org/token',
				clientId: 'deployments',
				clientAssertion: tokenOfTheJob,
			},
		},
	],
});

/** Asked for at each token request: it lives for five minutes. */
async function tokenOfTheJob(): Promise<string> {
	const {ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: token} = process.env;
	if (url === undefined) throw new Error('The job has no permission id-token: write');
	const response = await fetch(`${url}&audience=https://login.example.org/token`, {
		headers: {authorization: `Bearer ${token}`},
	});
	if (!response.ok) throw new Error(`GitHub gave no token: ${response.status}`);
	const {value} = (await response.json()) as {value: string};
	return value;
}
// #endregion
