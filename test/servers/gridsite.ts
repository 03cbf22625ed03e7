/**
 * Apache with mod_gridsite as a private process: takes proxies (RFC 3820). Which user is behind one, Debian's version
 * does not tell (it gives the names of its own certificate instead), so its answers name what mod_ssl sees.
 */
import {chmod, mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {TlsVersion} from './apache.ts';
import {startApache, whyNoApache} from './apache-process.ts';
import type {RealServer} from './availability.ts';
import type {GridPki} from './grid-pki.ts';

export const gridsite: RealServer = {
	name: 'Apache with mod_gridsite',
	install: 'apt-get install apache2-bin gridsite openssl',
	whyUnavailable: () => whyNoApache('ssl', 'gridsite'),
};

export interface Gridsite {
	/** Each answer names the subject of the certificate or proxy in `X-Client-DN`, its issuer in `X-Client-Issuer`. */
	readonly urls: Readonly<Record<TlsVersion, string>>;
	close(): Promise<void>;
}

const accessList = `<?xml version="1.0"?>
<gacl version="0.0.1"><entry><any-user/><allow><read/><list/></allow></entry></gacl>
`;

export async function startGridsite(pki: GridPki): Promise<Gridsite> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-gridsite-'));
	try {
		await chmod(folder, 0o755);
		await mkdir(join(folder, 'sessions'));
		await chmod(join(folder, 'sessions'), 0o777);
		await mkdir(join(folder, 'htdocs'));
		await writeFile(join(folder, 'htdocs/index.html'), 'served by mod_gridsite\n');
		await writeFile(join(folder, 'htdocs/.gacl'), accessList);
		const server = await startApache({
			folder,
			ports: 2,
			modules: ['mpm_event', 'authz_core', 'mime', 'dir', 'headers', 'socache_shmcb', 'ssl', 'gridsite'],
			configure: ports => configure(folder, pki, ports),
		});
		const [tls13, tls12] = server.ports;
		return {
			urls: {'TLSv1.3': `https://127.0.0.1:${tls13}`, 'TLSv1.2': `https://127.0.0.1:${tls12}`},
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

function configure(folder: string, {certificates, server}: GridPki, ports: readonly number[]): string {
	const virtualHost = (port: number | undefined, version: TlsVersion): string => `
<VirtualHost 127.0.0.1:${port}>
	SSLEngine on
	SSLProtocol -all +${version}
	SSLCertificateFile ${server.certificate}
	SSLCertificateKeyFile ${server.key}
	SSLCACertificatePath ${certificates}
	SSLVerifyClient require
	SSLVerifyDepth 10
	SSLOptions +StdEnvVars +ExportCertData
</VirtualHost>`;
	return `
TypesConfig /dev/null
GridSiteDNlists ${folder}/sessions
GridSiteSessionsDir ${folder}/sessions
SSLSessionCache none
<Directory ${folder}/htdocs>
	Require all granted
	GridSiteAuth on
	GridSiteIndexes on
	GridSiteEnvs on
	GridSiteGSIProxyLimit 9
	Header always set X-Client-DN "%{SSL_CLIENT_S_DN}s"
	Header always set X-Client-Issuer "%{SSL_CLIENT_I_DN}s"
</Directory>
${virtualHost(ports[0], 'TLSv1.3')}
${virtualHost(ports[1], 'TLSv1.2')}
`;
}
