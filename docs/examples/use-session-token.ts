/** Uses the strategy of `session-token.ts`, looks at its status, and makes it forget. */
import {createGatepass} from 'gatepass';
import {SessionTokenStrategy} from './session-token.ts';

const url = 'https://sessions.example.org/things';
const gatepass = await createGatepass({
	strategies: [SessionTokenStrategy],
	config: {
		cache: {url: 'memory:'},
		hostRules: [
			{
				match: 'https://sessions.example.org',
				strategy: 'session-token',
				options: {login: 'https://sessions.example.org/login', user: 'alice'},
			},
		],
	},
});
// #region requests
await gatepass.got(url).json();
// Past the token cache, once:
await gatepass.got(url, {context: {gatepass: {fresh: true}}}).json();
// For another tenant, with tokens of its own:
await gatepass.got(url, {context: {gatepass: {tenant: 'acme'}}}).json();
// Without authentication:
const anonymous = await gatepass.got(url, {context: {gatepass: false}, throwHttpErrors: false});
console.log(anonymous.statusCode);
// Drop the token; the next request fetches one.
await gatepass.forget(url);
await gatepass.got(url).json();
// #endregion
const [status] = await gatepass.status();
console.log(status?.detail);
await gatepass.close();
