/**
 * Debian's Apache with what real programs want of a server: a page that tells who asks and what was sent, a WebDAV
 * folder, and a git repository. Each of its three virtual hosts authenticates in another way.
 */
import {execFile} from 'node:child_process';
import {existsSync} from 'node:fs';
import {chmod, mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import type {CertificateFiles} from '../../src/testing/authority.ts';
import {environmentOf} from './apache-negotiate.ts';
import {startApache, whyNoApache} from './apache-process.ts';
import {findProgram, type RealServer} from './availability.ts';
import type {Kdc} from './kdc.ts';
import {createOpensslAuthority} from './openssl-authority.ts';

const modules = [
	...['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'dir', 'env', 'setenvif', 'headers', 'alias'],
	...['socache_shmcb', 'ssl', 'auth_gssapi', 'cgid', 'dav', 'dav_fs'],
];
/** Debian's place of what git brings for servers. */
const gitBackend = '/usr/lib/git-core/git-http-backend';

export const apacheServices: RealServer = {
	name: 'Apache with mod_auth_gssapi, mod_dav and git',
	install: 'apt-get install apache2-bin libapache2-mod-auth-gssapi openssl git',
	whyUnavailable: () =>
		whyNoApache('auth_gssapi', 'dav_fs', 'cgid') ??
		(existsSync(gitBackend) ? undefined : `there is no program ${gitBackend}`),
};

/** How a virtual host knows its users. */
export type Authentication = 'certificate' | 'negotiate' | 'token';

/** What the virtual host for tokens takes. */
export const serviceToken = 'the-token-of-the-services';

/**
 * Each origin has `/echo`, which answers `METHOD USER SHA256-OF-THE-BODY`, the folder `/files` with the file `hello`,
 * and the repository `/git/repository.git` with a branch `main`.
 */
export interface ApacheServices {
	readonly origins: Readonly<Record<Authentication, string>>;
	/** Whom `/echo` names where alice authenticates. */
	readonly users: Readonly<Record<Authentication, string>>;
	/** PEM file of the CA that vouches for the server. */
	readonly ca: string;
	/** The server's certificate. */
	readonly tls: CertificateFiles;
	/** Alice's, for the first origin. */
	readonly alice: CertificateFiles;
	/** The statuses of all requests for a path so far, in their order. */
	statuses(path: string): Promise<string[]>;
	close(): Promise<void>;
}

/** Start it, with the key table of the realm's service. */
export async function startApacheServices(kdc: Kdc): Promise<ApacheServices> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-services-'));
	try {
		// Started by root, Apache serves as another user, who reads and writes here.
		await chmod(folder, 0o755);
		await writeFolders(folder);
		await promisify(execFile)('cp', [kdc.keytabs.http, join(folder, 'http.keytab')]);
		await chmod(join(folder, 'http.keytab'), 0o644);
		const openssl = findProgram('openssl') as string;
		const authority = await createOpensslAuthority(openssl, join(folder, 'pki'), '/O=Gatepass/CN=Test CA');
		const tls = await authority.issue('server', '/CN=localhost', ['127.0.0.1', 'localhost']);
		const alice = await authority.issue('alice', '/O=Gatepass/OU=Users/CN=alice');
		const server = await startApache({
			folder,
			ports: 3,
			modules,
			env: environmentOf(kdc),
			configure: ports => configure(folder, ports),
		});
		const [certificate = '', negotiate = '', token = ''] = server.ports.map(
			port => `https://localhost:${port}`,
		);
		return {
			origins: {certificate, negotiate, token},
			users: {certificate: 'alice', negotiate: `alice@${kdc.realm}`, token: 'bearer'},
			ca: authority.ca,
			tls,
			alice,
			async statuses(path) {
				const log = (await server.log('access.log')).split('\n').map(line => line.split(' '));
				return log.flatMap(([status = '', asked]) => (asked === path ? [status] : []));
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

async function writeFolders(folder: string): Promise<void> {
	await mkdir(join(folder, 'htdocs/files'), {recursive: true});
	await mkdir(join(folder, 'locks'));
	await writeFile(join(folder, 'htdocs/files/hello'), 'hello from the files\n');
	await writeFile(
		join(folder, 'echo'),
		`#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n%s %s %s\\n' "$REQUEST_METHOD" "$REMOTE_USER" "$(sha256sum | cut -d' ' -f1)"
`,
		{mode: 0o755},
	);
	const git = (...args: string[]) =>
		promisify(execFile)('git', args, {cwd: folder, env: {PATH: process.env.PATH, HOME: folder}});
	await git('init', '-q', '--bare', '-b', 'main', 'git/repository.git');
	await git('-C', 'git/repository.git', 'config', 'http.receivepack', 'true');
	await git('init', '-q', '-b', 'main', 'work');
	const author = ['-c', 'user.name=alice', '-c', 'user.email=alice@example.org'];
	await git('-C', 'work', ...author, 'commit', '-q', '--allow-empty', '-m', 'The first');
	await git('-C', 'work', 'push', '-q', '../git/repository.git', 'main');
	const writable = ['git', 'htdocs/files', 'locks'].map(name => join(folder, name));
	await promisify(execFile)('chmod', ['-R', 'a+rwX', ...writable]);
}

function configure(folder: string, [certificate, negotiate, token]: readonly number[]): string {
	const virtualHost = (port: number | undefined, demands: string): string => `
<VirtualHost 127.0.0.1:${port}>
	SSLEngine on
	SSLCertificateFile ${folder}/pki/server.pem
	SSLCertificateKeyFile ${folder}/pki/server.key
	${demands}
</VirtualHost>`;
	return `
LogLevel warn
ScriptSock ${folder}/cgi.sock
ScriptAlias /echo ${folder}/echo
ScriptAlias /git ${gitBackend}
SetEnv GIT_PROJECT_ROOT ${folder}/git
SetEnv GIT_HTTP_EXPORT_ALL 1
# The repository is of the user who runs the tests, and Apache may be another one.
SetEnv GIT_CONFIG_COUNT 1
SetEnv GIT_CONFIG_KEY_0 safe.directory
SetEnv GIT_CONFIG_VALUE_0 *
DavLockDB ${folder}/locks/dav
<Directory />
	Require all granted
</Directory>
<Directory ${folder}/htdocs/files>
	Dav On
</Directory>
${virtualHost(
	certificate,
	`SSLCACertificateFile ${folder}/pki/ca.pem
	SSLVerifyClient require
	SSLUserName SSL_CLIENT_S_DN_CN`,
)}
${virtualHost(
	negotiate,
	`<Location />
		AuthType GSSAPI
		AuthName gatepass
		GssapiCredStore keytab:${folder}/http.keytab
		GssapiAllowedMech krb5
		Require valid-user
	</Location>`,
)}
${virtualHost(
	token,
	`SetEnvIf Authorization "^Bearer ${serviceToken}$" REMOTE_USER=bearer
	<Location />
		Require env REMOTE_USER
	</Location>
	ErrorDocument 403 "no token"`,
)}
`;
}
