/** A service that makes authenticated requests, says how it is, and ends in good order. */
// #region service
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {createGatepass, GatepassError} from 'gatepass';

const gatepass = await createGatepass();

const server = createServer(async (request, response) => {
	if (request.url === '/health') {
		const rules = await gatepass.status();
		response.statusCode = rules.every(({available}) => available) ? 200 : 503;
		response.end(JSON.stringify(rules));
		return;
	}
	try {
		response.end(await gatepass.got('https://api.example.org/runs').text());
	} catch (error) {
		// The message of a GatepassError holds no secret, but is meant for whoever runs the service.
		console.error(error instanceof GatepassError ? `${error.code} ${error.message}` : error);
		response.statusCode = 502;
		response.end();
	}
});

server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
	console.log(`listening on ${(server.address() as AddressInfo).port}`);
});
process.once('SIGTERM', () => server.close(() => void gatepass.close()));
// #endregion
