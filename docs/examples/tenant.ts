/** One service, many tenants: each has tokens of its own. */
import {createGatepass} from 'gatepass';

const gatepass = await createGatepass();
const url = 'https://api.example.org/runs';
// #region tenant
await gatepass.got(url, {context: {gatepass: {tenant: 'acme'}}}).json();
await gatepass.authorize(url, {tenant: 'umbrella'});
// #endregion
await gatepass.close();
