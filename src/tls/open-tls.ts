/** Opens verified connections to servers of gatepass's own choice, such as proxies that speak TLS. */
import type {Duplex} from 'node:stream';
import {TLSSocket} from 'node:tls';
import type {TrustLookup} from '../trust/no-trust-stores.ts';
import type {TlsAgents} from './agents.ts';
import {placeOf} from './way-out.ts';

/** A function that opens one to the server of a URL, by its trust store. */
export function openTlsBy(agents: TlsAgents, trust: TrustLookup): (url: URL) => Promise<Duplex> {
	return url => {
		const {host, port} = placeOf(url);
		return new Promise((resolve, reject) => {
			const created = (error: Error | null, socket?: Duplex): void => {
				if (error !== null || !socket) reject(error);
				else resolve(socket);
			};
			const servername = /^[\d.]+$|:/.test(host) ? '' : host;
			const agent = agents.for(undefined, trust.find(url));
			const options = {host, port, servername, ALPNProtocols: ['http/1.1']};
			const socket = agent.createConnection(options as never, created as never);
			if (!(socket instanceof TLSSocket)) return;
			socket.once('error', reject);
			socket.once('secureConnect', () => {
				socket.off('error', reject);
				resolve(socket);
			});
		});
	};
}
