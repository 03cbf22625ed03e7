import {setTimeout as pause} from 'node:timers/promises';
import {expect} from 'vitest';
import {startTokenServer} from '../../src/testing/token-server.ts';
import {errorOf, fault} from './harness.ts';

fault('issuer-down', [], () => async stage => {
	const issuer = stage.ended(await startTokenServer({lifetime: 1000}));
	const {tokenEndpoint} = issuer;
	const options = {tokenEndpoint, clientId: 'reader', clientSecret: 'secret'};
	const gatepass = await stage.open({
		hostRules: [{match: 'api.example.org', strategy: 'sso-client-credentials', options}],
	});
	const authorize = () => gatepass.authorize('https://api.example.org/');
	expect((await authorize()).headers).toHaveProperty('authorization');
	await issuer.close();
	stage.ended({close: () => {}});
	await pause(1100);
	return errorOf(authorize());
});
