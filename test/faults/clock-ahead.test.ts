import {createTestAuthority} from '../../src/testing/authority.ts';
import {startSkewedOidcProvider} from '../servers/skewed-oidc-provider.ts';
import {makeClientKey} from '../strategies/sso-protocol-setup.ts';
import {fault} from './harness.ts';

fault('clock-ahead', [], () => async stage => {
	const authority = stage.ended(await createTestAuthority());
	const {pkcs8, jwk} = makeClientKey('clock', 'P-256');
	const provider = stage.ended(await startSkewedOidcProvider(-120_000, {authority, clientKeys: [jwk]}));
	const options = {clientId: 'private-key-jwt', privateKey: pkcs8, tokenEndpoint: provider.tokenEndpoint};
	const gatepass = await stage.open({
		trust: [{match: '127.0.0.1:*', ca: authority.ca, only: true}],
		hostRules: [{match: `${provider.issuer}/me`, strategy: 'sso-client-credentials', options}],
	});
	const {stages} = await gatepass.diagnose(`${provider.issuer}/me`);
	// A token there is all the same: the assertion goes by the server's clock once it was refused.
	return stages.find(({name}) => name === 'authorization server')?.diagnostics;
});
