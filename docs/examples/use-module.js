/** A strategy that the configuration names needs no line in the program. */
// #region use
import {createGatepass} from 'gatepass';

const gatepass = await createGatepass({config: 'api-key.yaml'});
console.log(await gatepass.got('https://keys.example.org/things').json());
await gatepass.close();
// #endregion
