/** Hands a custom strategy over, and uses it in a rule. */
// #region use
import {createGatepass} from 'gatepass';
import {ApiKeyStrategy} from './api-key.ts';

const gatepass = await createGatepass({
	strategies: [ApiKeyStrategy],
	config: {
		hostRules: [{match: 'https://keys.example.org', strategy: 'api-key', options: {key: '${API_KEY}'}}],
	},
});
console.log(await gatepass.got('https://keys.example.org/things').json());
await gatepass.close();
// #endregion
