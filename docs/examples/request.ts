/** A request, authenticated by `gatepass.config.yaml`. */
// #region request
import {createGatepass} from 'gatepass';

const gatepass = await createGatepass();
const runs = await gatepass.got('https://api.example.org/runs').json();
console.log(runs);
await gatepass.close();
// #endregion
