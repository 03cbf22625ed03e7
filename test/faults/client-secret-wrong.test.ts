import {errorOf, fault} from './harness.ts';
import {startApi} from './oauth.ts';

fault('client-secret-wrong', [], () => async stage => {
	const {api, rule} = await startApi(stage);
	const options = {
		clientId: 'run-archiver',
		clientSecret: 'replaced',
		clientAuthentication: 'client_secret_post',
	};
	return errorOf((await stage.open(rule(options))).authorize(api.url));
});
