/** Debian's Apache as a proxy that demands Negotiate (407), with mod_proxy and mod_auth_gssapi. */
import {chmod, copyFile, mkdtemp, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {apacheNegotiate, environmentOf} from './apache-negotiate.ts';
import {startApache, whyNoApache} from './apache-process.ts';
import type {RealServer} from './availability.ts';
import type {Kdc} from './kdc.ts';

const names = [
	...['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'headers'],
	...['proxy', 'proxy_http', 'proxy_connect', 'auth_gssapi'],
];

export const apacheProxy: RealServer = {
	...apacheNegotiate,
	name: 'Apache with mod_proxy and mod_auth_gssapi',
	whyUnavailable() {
		return whyNoApache('auth_gssapi', 'proxy', 'proxy_http', 'proxy_connect');
	},
};

export interface ApacheProxy {
	/** As the services HTTP/localhost and HTTP/127.0.0.1. */
	readonly url: string;
	/** Below it, requests need Negotiate (401) and go on to `upstream`. */
	readonly gateway: string;
	/** What it was asked: `GET http://… 407`, `CONNECT host:port 200`. */
	log(): Promise<string[]>;
	close(): Promise<void>;
}

/** @param upstream URL of the server behind the gateway. */
export async function startApacheProxy(kdc: Kdc, upstream: string): Promise<ApacheProxy> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-proxy-'));
	try {
		// Started by root, Apache serves as another user, which reads the key table.
		await chmod(folder, 0o755);
		await copyFile(kdc.keytabs.http, join(folder, 'http.keytab'));
		await chmod(join(folder, 'http.keytab'), 0o644);
		const server = await startApache({
			folder,
			ports: 2,
			modules: names,
			logFormat: '%m %U %>s %u',
			env: environmentOf(kdc),
			configure: ports => configure(folder, ports, upstream),
		});
		const [proxy, gateway] = server.ports;
		return {
			url: `http://localhost:${proxy}`,
			gateway: `http://localhost:${gateway}`,
			async log() {
				const log = await server.log('access.log');
				return log.split('\n').filter(line => line !== '');
			},
			async close() {
				await server.stop();
				await rm(folder, {recursive: true, force: true});
			},
		};
	} catch (error) {
		await rm(folder, {recursive: true, force: true});
		throw error;
	}
}

function configure(folder: string, [proxy, gateway]: readonly number[], upstream: string): string {
	const authentication = `
		AuthType GSSAPI
		AuthName gatepass
		GssapiCredStore keytab:${folder}/http.keytab
		GssapiAllowedMech krb5
		Require valid-user`;
	return `
<VirtualHost 127.0.0.1:${proxy}>
	ProxyRequests On
	AllowCONNECT 1-65535
	<Proxy "*">${authentication}
	</Proxy>
</VirtualHost>
<VirtualHost 127.0.0.1:${gateway}>
	ProxyPass / ${upstream}/
	<Location />${authentication}
	</Location>
</VirtualHost>
`;
}
