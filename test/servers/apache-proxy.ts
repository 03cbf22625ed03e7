/** Debian's Apache as a proxy that demands Negotiate (407), with mod_proxy and mod_auth_gssapi. */
import {existsSync} from 'node:fs';
import {chmod, copyFile, mkdtemp, readFile, rm} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {apacheNegotiate, startOnFreePorts} from './apache-negotiate.ts';
import type {RealServer} from './availability.ts';
import type {Kdc} from './kdc.ts';
import {stopProcess} from './process.ts';

const modules = '/usr/lib/apache2/modules';

export const apacheProxy: RealServer = {
	...apacheNegotiate,
	name: 'Apache with mod_proxy and mod_auth_gssapi',
	whyUnavailable() {
		const missing = ['proxy', 'proxy_http', 'proxy_connect'].find(
			name => !existsSync(`${modules}/mod_${name}.so`),
		);
		return missing === undefined ? apacheNegotiate.whyUnavailable() : `there is no module mod_${missing}`;
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
		const {server, ports} = await startOnFreePorts(folder, kdc, all => configure(folder, all, upstream));
		return {
			url: `http://localhost:${ports[0]}`,
			gateway: `http://localhost:${ports[1]}`,
			async log() {
				const log = await readFile(join(folder, 'access.log'), 'utf8');
				return log.split('\n').filter(line => line !== '');
			},
			async close() {
				await stopProcess(server, 'SIGTERM');
				await rm(folder, {recursive: true, force: true});
			},
		};
	} catch (error) {
		await rm(folder, {recursive: true, force: true});
		throw error;
	}
}

function configure(folder: string, [proxy, gateway]: readonly number[], upstream: string): string {
	const names = [
		...['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'headers'],
		...['proxy', 'proxy_http', 'proxy_connect', 'auth_gssapi'],
	];
	const authentication = `
		AuthType GSSAPI
		AuthName gatepass
		GssapiCredStore keytab:${folder}/http.keytab
		GssapiAllowedMech krb5
		Require valid-user`;
	return `
ServerRoot ${folder}
ServerName localhost
PidFile ${folder}/httpd.pid
DefaultRuntimeDir ${folder}
Mutex file:${folder} default
Listen 127.0.0.1:${proxy}
Listen 127.0.0.1:${gateway}
User www-data
Group www-data
ErrorLog ${folder}/error.log
LogLevel warn
CustomLog ${folder}/access.log "%m %U %>s %u"
KeepAliveTimeout 30
${names.map(name => `LoadModule ${name}_module ${modules}/mod_${name}.so`).join('\n')}
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
