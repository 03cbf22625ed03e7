/** One request, stage by stage. */
// #region diagnose
import {createGatepass} from 'gatepass';

const gatepass = await createGatepass();
const {stages, diagnostics} = await gatepass.diagnose('https://api.example.org/runs', {
	signal: AbortSignal.timeout(60_000),
});
for (const {name, state} of stages) console.log(`${name}: ${state}`);
for (const {code, what, hint} of diagnostics) console.log(`${code}: ${what}. ${hint}`);
await gatepass.close();
// #endregion
