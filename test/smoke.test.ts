import {expect, test} from 'vitest';
import {createGatepass} from '../src/index.ts';
import {startMtlsServer, startNegotiateServer, startTokenServer} from '../src/testing/index.ts';

test('three kinds of server', async () => {
	const [mtls, token, negotiate] = await Promise.all([
		startMtlsServer(),
		startTokenServer(),
		startNegotiateServer(),
	]);
	const gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			trust: [{match: mtls.url, ca: mtls.ca, only: true}],
			hostRules: [
				{match: mtls.url, strategy: 'grid-certificate', options: {...mtls.client}},
				{
					match: token.url,
					strategy: 'sso-client-credentials',
					options: {clientId: 'a', clientSecret: 'secret', tokenEndpoint: token.tokenEndpoint},
				},
				{match: negotiate.url, strategy: 'kerberos-stub'},
			],
		},
	});
	console.log(await gatepass.got(mtls.url).json());
	console.log(await gatepass.got(`${token.url}/x`).json());
	token.revokeAll();
	console.log(await gatepass.got(`${token.url}/x`).json(), token.issued);
	console.log(await gatepass.got(`${negotiate.url}/x`).json());
	console.log(await gatepass.got.stream(`${negotiate.url}/x`).toArray());
	console.log(await gatepass.status());
	console.log(await gatepass.authorize(token.url), gatepass.explain(`${token.url}/a`));
	console.log(await gatepass.got.post(`${token.url}/p`, {body: 'hello'}).json());
	await gatepass.close();
	await Promise.all([mtls.close(), token.close(), negotiate.close()]);
});
