/** Debian's Apache as a private process that demands a client certificate (`SSLVerifyClient require`). */
import {chmod, mkdir, mkdtemp, rm, truncate, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {CertificateFiles} from '../../src/testing/authority.ts';
import {startApache, whyNoApache} from './apache-process.ts';
import {findProgram, type RealServer} from './availability.ts';
import {createOpensslAuthority, type OpensslAuthority} from './openssl-authority.ts';

export const apache: RealServer = {
	name: 'Apache',
	install: 'apt-get install apache2-bin openssl',
	whyUnavailable: () => whyNoApache('ssl'),
};

export type TlsVersion = 'TLSv1.3' | 'TLSv1.2';

/** Whose certificates a server takes, and its own. PEM files. */
export interface ServerTrust {
	readonly ca: string;
	readonly crl: string;
	/** Names `localhost` and `127.0.0.1`. */
	readonly server: CertificateFiles;
}

/**
 * Each answer names the client: `X-Client-DN`, the subject as Apache read it, and `X-Client-Port`, which tells its
 * connections apart. It is 200 for every path, but below `/alice` for Alice alone; the page `/large` has 32 MB.
 */
export interface ApacheMtls {
	/** Scheme, host and port: one virtual host speaks TLS 1.3 alone, the other TLS 1.2. */
	readonly urls: Readonly<Record<TlsVersion, string>>;
	/** Likewise, but the certificate is asked for only when a page below `/late` is: TLS 1.3 has no way to do so. */
	readonly lateUrls: Readonly<Record<TlsVersion, string>>;
	/** The client's port of each TLS handshake that Apache has completed so far, in their order. Ports come again. */
	handshakes(): Promise<string[]>;
	/** How many requests Apache has read so far. */
	requests(): Promise<number>;
	close(): Promise<void>;
}

/** The same with certificates of its own. */
export interface ApacheWithUsers extends ApacheMtls {
	/** PEM file of the CA that vouches for the server and for its users. */
	readonly ca: string;
	/** Issues more of them. */
	readonly authority: OpensslAuthority;
	/** `O=Gatepass,OU=Users,CN=alice` and so on; `foreign` says it is alice too, but is of another CA. */
	readonly users: Readonly<Record<'alice' | 'bob' | 'revoked' | 'foreign', CertificateFiles>>;
}

/** Start it with a new CA. */
export async function startApacheMtls(): Promise<ApacheWithUsers> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-apache-users-'));
	try {
		const program = findProgram('openssl') as string;
		const authority = await createOpensslAuthority(program, join(folder, 'pki'), '/O=Gatepass/CN=Test CA');
		const other = await createOpensslAuthority(program, join(folder, 'other'), '/O=Elsewhere/CN=Other CA');
		const server = await authority.issue('server', '/CN=localhost', ['127.0.0.1', 'localhost']);
		const users = {
			alice: await authority.issue('alice', '/O=Gatepass/OU=Users/CN=alice'),
			bob: await authority.issue('bob', '/O=Gatepass/OU=Users/CN=bob'),
			revoked: await authority.issue('revoked', '/O=Gatepass/OU=Users/CN=revoked'),
			foreign: await other.issue('foreign', '/O=Gatepass/OU=Users/CN=alice'),
		};
		const crl = await authority.revoke([users.revoked]);
		const apache = await startApacheWith({ca: authority.ca, crl, server});
		return {
			...apache,
			ca: authority.ca,
			authority,
			users,
			async close() {
				await apache.close();
				await rm(folder, {recursive: true, force: true});
			},
		};
	} catch (error) {
		await rm(folder, {recursive: true, force: true});
		throw error;
	}
}

/** Start it with certificates that are there already. */
export async function startApacheWith(trust: ServerTrust): Promise<ApacheMtls> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-apache-'));
	try {
		await chmod(folder, 0o755);
		await mkdir(join(folder, 'htdocs'));
		await writeFile(join(folder, 'htdocs/index.html'), 'served by Apache\n');
		await writeFile(join(folder, 'htdocs/large'), '');
		await truncate(join(folder, 'htdocs/large'), 32 * 1024 * 1024);
		const server = await startApache({
			folder,
			ports: 4,
			modules: ['mpm_event', 'authz_core', 'dir', 'headers', 'alias', 'socache_shmcb', 'ssl'],
			configure: ports => configure(folder, trust, ports),
		});
		const [tls13, tls12, late13, late12] = server.ports.map(port => `https://127.0.0.1:${port}`);
		return {
			urls: {'TLSv1.3': tls13 as string, 'TLSv1.2': tls12 as string},
			lateUrls: {'TLSv1.3': late13 as string, 'TLSv1.2': late12 as string},
			async handshakes() {
				// mod_ssl writes the line once for each handshake, at its end.
				const lines = (await server.log('error.log')).matchAll(
					/\[client [\d.]+:(\d+)\] AH02041: Protocol: TLS/g,
				);
				return [...lines].map(([, port]) => String(port));
			},
			async requests() {
				return (await server.log('access.log')).split('\n').length - 1;
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

function configure(folder: string, {ca, crl, server}: ServerTrust, ports: readonly number[]): string {
	const [tls13, tls12, late13, late12] = ports;
	const virtualHost = (port: number | undefined, version: TlsVersion, demands: string): string => `
<VirtualHost 127.0.0.1:${port}>
	SSLEngine on
	SSLProtocol -all +${version}
	SSLCertificateFile ${server.certificate}
	SSLCertificateKeyFile ${server.key}
	SSLCACertificateFile ${ca}
	SSLCARevocationFile ${crl}
	SSLCARevocationCheck leaf
	SSLVerifyDepth 10
	${demands}
	Header always set X-Client-DN "%{SSL_CLIENT_S_DN}s"
	Header always set X-Client-Port "expr=%{REMOTE_PORT}"
	Header always set X-Protocol "%{SSL_PROTOCOL}s"
	<Location /alice>
		Require expr %{SSL_CLIENT_S_DN_CN} == 'alice'
	</Location>
</VirtualHost>`;
	const atOnce = 'SSLVerifyClient require';
	const late = `SSLVerifyClient none
	<Location /late>
		SSLVerifyClient require
	</Location>`;
	return `
LogLevel warn ssl:debug
# One process for good: each that Apache ends to save memory would take connections with it that are to be kept.
ServerLimit 1
StartServers 1
ThreadLimit 256
ThreadsPerChild 256
MaxRequestWorkers 256
MaxSpareThreads 256
SSLSessionCache none
SSLSessionTickets off
AliasMatch ^/(?!large$) ${folder}/htdocs/index.html
<Directory ${folder}/htdocs>
	Require all granted
</Directory>
${virtualHost(tls13, 'TLSv1.3', atOnce)}
${virtualHost(tls12, 'TLSv1.2', atOnce)}
${virtualHost(late13, 'TLSv1.3', late)}
${virtualHost(late12, 'TLSv1.2', late)}
`;
}
