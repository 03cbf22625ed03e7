/** Records spans and metrics. The SDK is set up elsewhere, as for every other library. */
// #region telemetry
import {trace} from '@opentelemetry/api';
import {createGatepass} from 'gatepass';

const gatepass = await createGatepass({telemetry: true});

await trace.getTracer('runs-report').startActiveSpan('report', async span => {
	console.log(await gatepass.got('https://api.example.org/runs').json());
	span.end();
});
// #endregion
await gatepass.close();
