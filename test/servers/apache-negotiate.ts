/** Debian's Apache with mod_auth_gssapi as a private process, over http and https. */
import {type ChildProcess, spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {findProgram, type RealServer} from './availability.ts';
import {freePorts} from './free-port.ts';
import type {Kdc} from './kdc.ts';
import {createOpensslAuthority} from './openssl-authority.ts';
import {stopProcess} from './process.ts';

const modules = '/usr/lib/apache2/modules';
const account = 'www-data';

export const apacheNegotiate: RealServer = {
	name: 'Apache with mod_auth_gssapi',
	install: 'apt-get install apache2-bin libapache2-mod-auth-gssapi openssl',
	whyUnavailable() {
		if (findProgram('apache2') === undefined) return 'there is no program apache2';
		if (findProgram('openssl') === undefined)
			return 'there is no program openssl, which makes its certificates';
		if (!existsSync(`${modules}/mod_auth_gssapi.so`)) return 'there is no module mod_auth_gssapi';
		return undefined;
	},
};

export interface ApacheNegotiate {
	/**
	 * Scheme and port, for the hosts `localhost` and `127.0.0.1`. Each answer below `/negotiate` and `/delegate` names
	 * the principal (`X-Remote-User`) and the client's port; `/bound` binds a connection to the principal.
	 */
	readonly ports: Readonly<Record<'http' | 'https', number>>;
	/** PEM file of the CA that vouches for the server. */
	readonly ca: string;
	/** Its certificate and key, as PEM files. */
	readonly tls: {readonly certificate: string; readonly key: string};
	/** Its key table, which it reads anew for each request. */
	readonly keytab: string;
	/** How many requests Apache has read so far, by status. */
	statuses(): Promise<Readonly<Record<string, number>>>;
	close(): Promise<void>;
}

/** Start it with the key table of the realm's service, or another one. */
export async function startApacheNegotiate(
	kdc: Kdc,
	keytab: string = kdc.keytabs.http,
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
		const {server, ports} = await startOnFreePorts(folder, kdc, ports => configure(folder, ports));
		return {
			ports: {http: ports[0] as number, https: ports[1] as number},
			ca: authority.ca,
			tls: {certificate: join(folder, 'pki/server.pem'), key: join(folder, 'pki/server.key')},
			keytab: join(folder, 'http.keytab'),
			async statuses() {
				const log = await readFile(join(folder, 'access.log'), 'utf8');
				const counts: Record<string, number> = {};
				for (const [status] of log.matchAll(/^\d+/gm)) counts[status] = (counts[status] ?? 0) + 1;
				return counts;
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

/** Apache cannot be asked to choose a port, and one that was free may be taken by the time it starts. */
export async function startOnFreePorts(
	folder: string,
	kdc: Kdc,
	configure: (ports: readonly number[]) => string,
): Promise<{server: ChildProcess; ports: number[]}> {
	for (let attempt = 1; ; attempt++) {
		const ports = await freePorts(2);
		const configuration = join(folder, 'httpd.conf');
		await writeFile(configuration, configure(ports));
		const server = spawn(findProgram('apache2') as string, ['-f', configuration, '-DFOREGROUND'], {
			stdio: ['ignore', 'ignore', 'pipe'],
			// Requests that repeat a token within a second are meant here: the replay cache is off.
			env: {...process.env, KRB5_CONFIG: kdc.configuration, KRB5RCACHENAME: 'none:'},
		});
		let complaint = '';
		server.stderr?.on('data', chunk => {
			complaint += chunk;
		});
		try {
			await untilListening(folder, server);
			return {server, ports};
		} catch (error) {
			await stopProcess(server, 'SIGTERM');
			if (!complaint.includes('Address already in use') || attempt === 5) {
				const log = await readFile(join(folder, 'error.log'), 'utf8').catch(() => '');
				throw new Error(`Apache did not start:\n${complaint}${log}`, {cause: error});
			}
		}
	}
}

function configure(folder: string, [http, https]: readonly number[]): string {
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
	const names = [
		...['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'dir', 'env', 'headers', 'alias'],
		...['session', 'session_cookie', 'socache_shmcb', 'ssl', 'auth_gssapi'],
	];
	return `
ServerRoot ${folder}
ServerName localhost
PidFile ${folder}/httpd.pid
DefaultRuntimeDir ${folder}
Mutex file:${folder} default
Listen 127.0.0.1:${http}
Listen 127.0.0.1:${https}
User ${account}
Group ${account}
ErrorLog ${folder}/error.log
LogLevel warn auth_gssapi:info
CustomLog ${folder}/access.log "%s %U"
KeepAliveTimeout 30
MaxKeepAliveRequests 0
${names.map(name => `LoadModule ${name}_module ${modules}/mod_${name}.so`).join('\n')}
DocumentRoot ${folder}/htdocs
AliasMatch ^/(negotiate|delegate|bound|public) ${folder}/htdocs/index.html
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
<VirtualHost 127.0.0.1:${https}>
	SSLEngine on
	SSLCertificateFile ${folder}/pki/server.pem
	SSLCertificateKeyFile ${folder}/pki/server.key
</VirtualHost>
`;
}

/** Apache writes its pid once it listens on every port. */
async function untilListening(folder: string, server: ChildProcess): Promise<void> {
	const deadline = Date.now() + 30_000;
	while (server.exitCode === null && server.signalCode === null && Date.now() < deadline) {
		if (existsSync(join(folder, 'httpd.pid'))) return;
		await pause(20);
	}
	throw new Error('Apache ended, or did not listen in time');
}
