/** What a caller catches. */
import {createGatepass} from 'gatepass';

const gatepass = await createGatepass();

// #region errors
import {GatepassError, TokenRequestError} from 'gatepass';

try {
	await gatepass.got('https://api.example.org/runs').json();
} catch (error) {
	if (error instanceof TokenRequestError) {
		console.log(`no token: ${error.code}, status ${error.status}, ${error.error}`);
	} else if (error instanceof GatepassError) {
		console.log(`${error.code}: ${error.message}`);
	} else {
		// got's own, such as a 404 of the server: nothing to do with authentication.
		throw error;
	}
}
// #endregion
await gatepass.close();
