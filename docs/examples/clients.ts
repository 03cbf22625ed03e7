/** The clients that gatepass authenticates itself. */
import {createGatepass} from 'gatepass';

const gatepass = await createGatepass({config: 'other-clients.yaml'});
const runs = 'https://api.example.org/runs';
// #region got
console.log('got', await gatepass.got(runs).json());

// #endregion
// #region fetch
const response = await gatepass.fetch(runs);
console.log('fetch', await response.json());

// #endregion
// #region undici
import {request} from 'undici';

const {body} = await request(runs, {dispatcher: gatepass.dispatcher});
console.log('undici', await body.json());

// #endregion
// #region platform
const own = await fetch(runs, {dispatcher: gatepass.dispatcher});
console.log('platform', await own.json());

// #endregion
// #region setting
// Past the token cache, once:
await gatepass.fetch(runs, {gatepass: {fresh: true}});
// Without authentication:
const anonymous = await gatepass.fetch(runs, {gatepass: false});
console.log('anonymous', anonymous.status);

// #endregion
// #region intercept
import {Agent, interceptors} from 'undici';

const agent = new Agent({connections: 10});
const dispatcher = gatepass
	.intercept(agent.compose(interceptors.cache()))
	.compose(interceptors.redirect({maxRedirections: 5}), interceptors.retry());
const answer = await request(runs, {dispatcher});
console.log('intercept', await answer.body.json());
await agent.close();
// #endregion
await gatepass.close();
