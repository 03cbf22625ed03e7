import {errorOf, fault} from './harness.ts';
import {now, startApi, unsignedToken} from './oauth.ts';

fault('assertion-from-the-future', [], () => async stage => {
	const {api, provider, rule} = await startApi(stage);
	const text = unsignedToken({
		...{iss: 'ci', sub: 'ci', aud: provider.issuer},
		...{iat: now() + 600, nbf: now() + 600, exp: now() + 1200},
	});
	const options = {clientSecret: undefined, clientAssertion: {variable: 'ID_TOKEN'}};
	const gatepass = await stage.open(rule(options), {env: {ID_TOKEN: text}});
	return errorOf(gatepass.authorize(api.url));
});
