/** Ports for servers that cannot choose one themselves. */
import {type AddressInfo, createServer} from 'node:net';

/** Ports on 127.0.0.1 that are free now. Another process may be quicker, so be ready to ask again. */
export async function freePorts(count: number): Promise<number[]> {
	const servers = Array.from({length: count}, () => createServer());
	await Promise.all(
		servers.map(server => new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))),
	);
	const ports = servers.map(server => (server.address() as AddressInfo).port);
	await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
	return ports;
}
