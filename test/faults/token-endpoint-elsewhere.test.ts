import {errorOf, fault} from './harness.ts';
import {startApi} from './oauth.ts';

fault('token-endpoint-elsewhere', [], () => async stage => {
	const {api, provider, rule} = await startApi(stage, {tokenPath: '/protocol/openid-connect/token'});
	const gatepass = await stage.open(rule({tokenEndpoint: `${provider.issuer}/oauth/token`}));
	return errorOf(gatepass.authorize(api.url));
});
