/** Servers of TLS on this machine, for what needs no more than a certificate. */
import {readFile} from 'node:fs/promises';
import {createServer, type ServerOptions} from 'node:https';
import type {AddressInfo} from 'node:net';
import type {TLSSocket} from 'node:tls';
import type {CertificateFiles} from '../../src/testing/authority.ts';

export interface RunningServer {
	readonly url: string;
	close(): Promise<void>;
}

/** @param onConnection told of each connection whose handshake is through. */
export async function startTls(
	{certificate, key}: CertificateFiles,
	options: ServerOptions = {},
	onConnection: (socket: TLSSocket) => void = () => {},
): Promise<RunningServer> {
	const [cert, privateKey] = await Promise.all([readFile(certificate), readFile(key)]);
	const server = createServer(
		{cert, key: privateKey, ...options},
		(_, response) => void response.end('served'),
	);
	server.on('secureConnection', onConnection);
	server.on('tlsClientError', () => {});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	return {
		url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
		async close() {
			server.closeAllConnections();
			await new Promise(resolve => server.close(resolve));
		},
	};
}
