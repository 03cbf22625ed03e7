/** gatepass on a got instance of one's own. */
// #region got
import {createGatepass} from 'gatepass';
import got from 'got';

const api = got.extend({prefixUrl: 'https://api.example.org', timeout: {request: 5000}});
const gatepass = await createGatepass({got: api});
console.log(await gatepass.got('runs').json());

const verbose = gatepass.extend(got.extend({headers: {'user-agent': 'runs-report'}}));
console.log(await verbose('https://api.example.org/runs').json());
await gatepass.close();
// #endregion
