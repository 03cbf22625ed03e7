import {order, startRefusing} from './acme.ts';
import {errorOf, fault} from './harness.ts';

// As FreeIPA's authority answers, which takes RSA only; pebble takes both.
fault('key-type-refused', [], () => async stage => {
	const detail = 'Key type EC not permitted by profile acmeServerCert: RSA is';
	const server = await startRefusing(stage, {type: 'badPublicKey', detail}, {status: 400});
	return errorOf(order(stage, server, ['www.example.test']));
});
