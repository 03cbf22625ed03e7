/** Listens on channels of `diagnostics_channel`: to all gatepasses of the process. */
// #region events
import {subscribe} from 'node:diagnostics_channel';
import {createGatepass, type EventPayloads} from 'gatepass';

subscribe('gatepass:request', message => {
	const {method, url, rule, status, legs} = message as EventPayloads['gatepass:request'];
	console.log(`${method} ${url} by ${rule.strategy}: ${status ?? 'failed'}, legs: ${legs}`);
});
subscribe('gatepass:token:error', message => {
	const {error} = message as EventPayloads['gatepass:token:error'];
	console.error(error.code, error.message);
});
// #endregion

const gatepass = await createGatepass();
await gatepass.got('https://api.example.org/runs').json();
await gatepass.close();
