/** A configuration as a program, with typed options. */
// #region config
import {defineConfig} from 'gatepass';

declare module 'gatepass' {
	interface OptionsByStrategy {
		'api-key': {header?: string; key: string};
	}
}

export default defineConfig({
	strategies: ['./strategies/api-key.js'],
	hostRules: [
		{
			match: 'https://api.example.org',
			strategy: 'sso-client-credentials',
			options: {tokenEndpoint: 'https://login.example.org/token', audience: 'runs'},
		},
		{match: 'https://keys.example.org', strategy: 'api-key', options: {key: '${API_KEY}'}},
	],
});
// #endregion
