/** Writes what happens to a logger. */
// #region logger
import {createGatepass} from 'gatepass';
import {pino} from 'pino';

const logger = pino({level: 'debug'});
const gatepass = await createGatepass({logger});
// #endregion
await gatepass.got('https://api.example.org/runs').json();
await gatepass.close();
