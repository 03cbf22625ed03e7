/** A test of a program that uses gatepass, without a network. */
import assert from 'node:assert';
import {test} from 'node:test';
import {createGatepass} from 'gatepass';
import {MockAgent} from 'undici';

const gatepass = await createGatepass({
	config: {
		cache: {url: 'memory:'},
		hostRules: [{match: 'https://keys.example.net', strategy: 'static-token', options: {token: 'abc'}}],
	},
});
// #region mock
test('the key is sent', async () => {
	const mock = new MockAgent();
	mock.disableNetConnect();
	mock
		.get('https://keys.example.net')
		.intercept({path: '/things', headers: {authorization: 'Bearer abc'}})
		.reply(200, ['a thing']);
	const response = await gatepass.fetch('https://keys.example.net/things', {dispatcher: mock});
	assert.deepEqual(await response.json(), ['a thing']);
	await mock.close();
});
// #endregion
