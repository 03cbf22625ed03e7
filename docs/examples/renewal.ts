/** A service whose identity renews by itself. */
// #region service
import {createGatepass} from 'gatepass';

const gatepass = await createGatepass();
if ((await gatepass.certificates.list()).length === 0) {
	await gatepass.certificates.enroll(['reports.example.org']);
}
const renewing = gatepass.certificates.autoRenew();
console.log(await gatepass.got('https://api.example.org/runs').text());
renewing.stop();
await gatepass.close();
// #endregion
