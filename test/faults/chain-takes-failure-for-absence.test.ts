import {errorOf, fault} from './harness.ts';
import {startApi} from './oauth.ts';

// The first has no credential, so the second is asked; that one fails, and the third is left alone.
fault('chain-takes-failure-for-absence', [], () => async stage => {
	const {api, provider, rule} = await startApi(stage);
	const {tokenEndpoint} = provider;
	const wrong = {tokenEndpoint, clientId: 'run-archiver', clientSecret: 'replaced'};
	const gatepass = await stage.open({
		...rule(),
		hostRules: [
			{
				match: api.url,
				strategy: 'chain',
				options: {
					of: [
						{strategy: 'wlcg-token', options: {file: '/nowhere/token'}},
						{strategy: 'sso-client-credentials', options: wrong},
						{strategy: 'static-token', options: {token: 'never shown'}},
					],
				},
			},
		],
	});
	return errorOf(gatepass.authorize(api.url));
});
