/** Which rule a request would use, and why. */
// #region explain
import {createGatepass} from 'gatepass';

const gatepass = await createGatepass();
const {rule, candidates} = gatepass.explain('https://api.example.org/runs', {method: 'GET'});
console.log(`rule: ${rule?.match} with ${rule?.strategy}`);
for (const {match, outcome, reason} of candidates) console.log(`${match}: ${outcome}: ${reason}`);
await gatepass.close();
// #endregion
