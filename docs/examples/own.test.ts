/** A test of a user's own service, against a server that wants tokens. */
// #region test
import assert from 'node:assert/strict';
import {test} from 'node:test';
import {createGatepass} from 'gatepass';
import {startTokenServer} from 'gatepass/testing';

test('a revoked token is replaced', async () => {
	const server = await startTokenServer();
	const gatepass = await createGatepass({
		config: {
			cache: {url: 'memory:'},
			hostRules: [
				{
					match: server.url,
					strategy: 'sso-client-credentials',
					options: {tokenEndpoint: server.tokenEndpoint, clientId: 'test', clientSecret: 'only for tests'},
				},
			],
		},
	});
	try {
		await gatepass.got(`${server.url}/runs`);
		server.revokeAll();
		await gatepass.got(`${server.url}/runs`);
		assert.equal(server.issued, 2);
	} finally {
		await gatepass.close();
		await server.close();
	}
});
// #endregion
