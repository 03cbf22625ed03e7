/**
 * The servers of the throughput rows, in a process of their own: an API with a token endpoint, a Negotiate server, and
 * one that demands a client certificate.
 */
import {createServer} from 'node:http';
import type {AddressInfo} from 'node:net';
import {startMtlsServer, startNegotiateServer} from 'gatepass/testing';
import {answerParent, tellParent} from './child.ts';

export interface ServerAddresses {
	readonly api: string;
	readonly tokenEndpoint: string;
	readonly negotiate: string;
	readonly mtls: {readonly url: string; readonly ca: string; readonly client: ClientCertificate};
}

type ClientCertificate = Pick<Awaited<ReturnType<typeof startMtlsServer>>['client'], 'certificate' | 'key'>;

const answer = JSON.stringify({runs: [1, 2, 3], status: 'ok'});
const token = JSON.stringify({access_token: 'bench-token', token_type: 'Bearer', expires_in: 86_400});

const api = createServer((request, response) => {
	request.resume();
	const isTokenRequest = request.url === '/token';
	if (!isTokenRequest && request.headers.authorization !== 'Bearer bench-token') {
		response.writeHead(401).end();
		return;
	}
	const body = isTokenRequest ? token : answer;
	response.writeHead(200, {'content-type': 'application/json', 'content-length': Buffer.byteLength(body)});
	response.end(body);
});
// Under valgrind, a client may come back to a connection after the five seconds for which Node keeps it.
api.keepAliveTimeout = 600_000;
await new Promise<void>(resolve => api.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
const negotiate = await startNegotiateServer();
const mtls = await startMtlsServer();
const addresses: ServerAddresses = {
	api: `${url}/runs`,
	tokenEndpoint: `${url}/token`,
	negotiate: `${negotiate.url}/runs`,
	mtls: {url: mtls.url, ca: mtls.ca, client: mtls.client},
};
tellParent(addresses);
answerParent(async () => undefined);
