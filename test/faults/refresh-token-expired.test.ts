import {createTestAuthority} from '../../src/testing/authority.ts';
import {oidcAgent, startOidcAgent} from '../servers/oidc-agent.ts';
import {startOidcProvider} from '../servers/oidc-provider.ts';
import {errorOf, fault} from './harness.ts';

fault('refresh-token-expired', oidcAgent, () => async stage => {
	const authority = stage.ended(await createTestAuthority());
	const provider = stage.ended(await startOidcProvider({authority}));
	const agent = stage.ended(await startOidcAgent({provider}));
	await agent.addAccount('wlcg', 'alice');
	await provider.expireRefreshTokens();
	const options = {account: 'wlcg', minimumValidity: 3_600_000};
	const gatepass = await stage.open(
		{hostRules: [{match: 'storage.example.org', strategy: 'oidc-agent', options}]},
		{env: {OIDC_SOCK: agent.socket}},
	);
	return errorOf(gatepass.authorize('https://storage.example.org/'));
});
