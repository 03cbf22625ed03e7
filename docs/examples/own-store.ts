/** Tokens in a store of the program's own. */
// #region store
import {createGatepass} from 'gatepass';
import {Keyv} from 'keyv';

const store = new Keyv({store: new Map()});
const gatepass = await createGatepass({cache: store, config: 'own-store.yaml'});
// #endregion
console.log(await gatepass.got('https://api.example.org/runs').json());
await gatepass.close();
