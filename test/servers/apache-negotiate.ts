/** Debian's Apache with mod_auth_gssapi as a private process, over http and https. */
import {chmod, copyFile, mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {startApache, whyNoApache} from './apache-process.ts';
import {findProgram, type RealServer} from './availability.ts';
import type {Kdc} from './kdc.ts';
import {createOpensslAuthority} from './openssl-authority.ts';

const names = [
	...['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'dir', 'env', 'headers', 'alias'],
	...['session', 'session_cookie', 'socache_shmcb', 'ssl', 'auth_gssapi'],
];

export const apacheNegotiate: RealServer = {
	name: 'Apache with mod_auth_gssapi',
	install: 'apt-get install apache2-bin libapache2-mod-auth-gssapi openssl',
	whyUnavailable() {
		return whyNoApache('auth_gssapi');
	},
};

export interface ApacheNegotiate {
	/**
	 * Scheme and port, for the hosts `localhost` and `127.0.0.1`. Each answer below `/negotiate` and `/delegate` names
	 * the principal (`X-Remote-User`) and the client's port; `/bound` binds a connection to the principal, `/session` a
	 * cookie, and `/known` knows whoever authenticates and lets nobody in.
	 */
	readonly ports: Readonly<Record<'http' | 'https', number>>;
	/** PEM file of the CA that vouches for the server. */
	readonly ca: string;
	/** Its certificate and key, as PEM files. */
	readonly tls: {readonly certificate: string; readonly key: string};
	/** Its key table, which it reads again for each request. */
	readonly keytab: string;
	/** How many requests Apache has read so far, by status. */
	statuses(): Promise<Readonly<Record<string, number>>>;
	close(): Promise<void>;
}

/**
 * Start it with the key table of the realm's service, or another one.
 *
 * @param remembersTokens whether it has a replay cache, and refuses a token that it has seen.
 */
export async function startApacheNegotiate(
	kdc: Kdc,
	keytab: string = kdc.keytabs.http,
	remembersTokens = false,
): Promise<ApacheNegotiate> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-negotiate-'));
	try {
		// Started by root, Apache serves as another user, which reads the key table and writes delegated tickets.
		await chmod(folder, 0o755);
		await mkdir(join(folder, 'delegated'));
		await chmod(join(folder, 'delegated'), 0o777);
		await copyFile(keytab, join(folder, 'http.keytab'));
		await chmod(join(folder, 'http.keytab'), 0o644);
		await mkdir(join(folder, 'htdocs'));
		await writeFile(join(folder, 'htdocs/index.html'), 'served by Apache\n');
		const authority = await createOpensslAuthority(
			findProgram('openssl') as string,
			join(folder, 'pki'),
			'/O=Gatepass/CN=Test CA',
		);
		await authority.issue('server', '/CN=localhost', ['127.0.0.1', 'localhost']);
		const server = await startApache({
			folder,
			ports: 2,
			modules: names,
			env: {
				...environmentOf(kdc),
				...(remembersTokens && {KRB5RCACHENAME: `file2:${join(folder, 'delegated/replay')}`}),
			},
			configure: ports => configure(folder, ports[1] as number),
		});
		const [http, https] = server.ports as [number, number];
		return {
			ports: {http, https},
			ca: authority.ca,
			tls: {certificate: join(folder, 'pki/server.pem'), key: join(folder, 'pki/server.key')},
			keytab: join(folder, 'http.keytab'),
			async statuses() {
				const log = await server.log('access.log');
				const counts: Record<string, number> = {};
				for (const [status] of log.matchAll(/^\d+/gm)) counts[status] = (counts[status] ?? 0) + 1;
				return counts;
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

/** The realm of Apache. Requests that repeat a token within a second are meant here: the replay cache is off. */
export function environmentOf(kdc: Kdc): Readonly<Record<string, string>> {
	return {KRB5_CONFIG: kdc.configuration, KRB5RCACHENAME: 'none:'};
}

function configure(folder: string, https: number): string {
	const location = (path: string, ...settings: string[]): string => `
<Location ${path}>
	AuthType GSSAPI
	AuthName gatepass
	GssapiCredStore keytab:${folder}/http.keytab
	Require valid-user
	Header always set X-Remote-User "expr=%{REMOTE_USER}"
	Header always set X-Client-Port "expr=%{REMOTE_PORT}"
	${settings.join('\n\t')}
</Location>`;
	return `
LogLevel warn auth_gssapi:info
AliasMatch ^/(negotiate|delegate|bound|session|known|public) ${folder}/htdocs/index.html
<Directory ${folder}/htdocs>
	Require all granted
</Directory>
${location('/negotiate', 'GssapiAllowedMech krb5')}
${location(
	'/delegate',
	`GssapiDelegCcacheDir ${folder}/delegated`,
	'GssapiDelegCcacheUnique On',
	'Header always set X-Delegated "%{KRB5CCNAME}e"',
)}
${location('/bound', 'GssapiConnectionBound On')}
${location('/session', 'GssapiUseSessions On', 'Session On', 'SessionCookieName remembered path=/')}
${location('/known').replace('Require valid-user', 'Require user nobody')}
<VirtualHost 127.0.0.1:${https}>
	SSLEngine on
	SSLCertificateFile ${folder}/pki/server.pem
	SSLCertificateKeyFile ${folder}/pki/server.key
</VirtualHost>
`;
}
