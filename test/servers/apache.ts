/** Debian's Apache as a private process that demands a client certificate (`SSLVerifyClient require`). */
import {type ChildProcess, spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {chmod, mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import type {CertificateFiles} from '../../src/testing/authority.ts';
import {findProgram, type RealServer} from './availability.ts';
import {freePorts} from './free-port.ts';
import {createOpensslAuthority} from './openssl-authority.ts';
import {stopProcess} from './process.ts';

const modules = '/usr/lib/apache2/modules';

export const apache: RealServer = {
	name: 'Apache',
	install: 'apt-get install apache2-bin openssl',
	whyUnavailable() {
		if (findProgram('apache2') === undefined) return 'there is no program apache2';
		if (findProgram('openssl') === undefined)
			return 'there is no program openssl, which makes its certificates';
		return undefined;
	},
};

export type TlsVersion = 'TLSv1.3' | 'TLSv1.2';

export interface ApacheMtls {
	/** Scheme, host and port: one virtual host speaks TLS 1.3 alone, the other TLS 1.2. Answers 200 for every path. */
	readonly urls: Readonly<Record<TlsVersion, string>>;
	/** PEM file of the CA that vouches for the server and for its users. */
	readonly ca: string;
	/** `O=Gatepass,OU=Users,CN=alice` and so on; `foreign` says it is alice too, but is of another CA. */
	readonly users: Readonly<Record<'alice' | 'bob' | 'revoked' | 'foreign', CertificateFiles>>;
	/** The client's port of each TLS handshake that Apache has completed so far. */
	handshakes(): Promise<string[]>;
	/** How many requests Apache has read so far. */
	requests(): Promise<number>;
	close(): Promise<void>;
}

/**
 * Start it. Each answer names the client: `X-Client-DN`, the subject as Apache read it, and `X-Client-Port`, which
 * tells its connections apart.
 */
export async function startApacheMtls(): Promise<ApacheMtls> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-apache-'));
	try {
		// Started by root, Apache serves as www-data.
		await chmod(folder, 0o755);
		const pki = await makeCertificates(folder);
		await mkdir(join(folder, 'htdocs'));
		await writeFile(join(folder, 'htdocs/index.html'), 'served by Apache\n');
		const {process: server, ports} = await startOnFreePorts(folder, pki);
		const [tls13, tls12] = ports;
		return {
			urls: {'TLSv1.3': `https://127.0.0.1:${tls13}`, 'TLSv1.2': `https://127.0.0.1:${tls12}`},
			ca: pki.ca,
			users: pki.users,
			async handshakes() {
				const log = await readFile(join(folder, 'error.log'), 'utf8');
				// mod_ssl writes the line once for each handshake, at its end.
				return [...log.matchAll(/\[client [\d.]+:(\d+)\] AH02041: Protocol: TLS/g)].map(([, port]) =>
					String(port),
				);
			},
			async requests() {
				const log = await readFile(join(folder, 'access.log'), 'utf8');
				return log.split('\n').length - 1;
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

interface Pki {
	readonly ca: string;
	readonly crl: string;
	readonly server: CertificateFiles;
	readonly users: ApacheMtls['users'];
}

async function makeCertificates(folder: string): Promise<Pki> {
	const program = findProgram('openssl') as string;
	const authority = await createOpensslAuthority(program, join(folder, 'pki'), '/O=Gatepass/CN=Test CA');
	const other = await createOpensslAuthority(program, join(folder, 'other-pki'), '/O=Elsewhere/CN=Other CA');
	const server = await authority.issue('server', '/CN=localhost', ['127.0.0.1', 'localhost']);
	const alice = await authority.issue('alice', '/O=Gatepass/OU=Users/CN=alice');
	const bob = await authority.issue('bob', '/O=Gatepass/OU=Users/CN=bob');
	const revoked = await authority.issue('revoked', '/O=Gatepass/OU=Users/CN=revoked');
	const foreign = await other.issue('foreign', '/O=Gatepass/OU=Users/CN=alice');
	const crl = await authority.revoke([revoked]);
	return {ca: authority.ca, crl, server, users: {alice, bob, revoked, foreign}};
}

/** Apache cannot be asked to choose a port, and one that was free may be taken by the time it starts. */
async function startOnFreePorts(folder: string, pki: Pki): Promise<{process: ChildProcess; ports: number[]}> {
	for (let attempt = 1; ; attempt++) {
		const ports = await freePorts(2);
		const configuration = join(folder, 'httpd.conf');
		await writeFile(configuration, configure(folder, pki, ports));
		const server = spawn(findProgram('apache2') as string, ['-f', configuration, '-DFOREGROUND'], {
			stdio: ['ignore', 'ignore', 'pipe'],
		});
		let complaint = '';
		server.stderr?.on('data', chunk => {
			complaint += chunk;
		});
		try {
			await untilListening(folder, server);
			return {process: server, ports};
		} catch (error) {
			await stopProcess(server, 'SIGTERM');
			if (!complaint.includes('Address already in use') || attempt === 5) {
				const log = await readFile(join(folder, 'error.log'), 'utf8').catch(() => '');
				throw new Error(`Apache did not start:\n${complaint}${log}`, {cause: error});
			}
		}
	}
}

function configure(folder: string, {ca, crl, server}: Pki, [tls13, tls12]: readonly number[]): string {
	const virtualHost = (port: number | undefined, version: TlsVersion): string => `
<VirtualHost 127.0.0.1:${port}>
	SSLEngine on
	SSLProtocol -all +${version}
	SSLCertificateFile ${server.certificate}
	SSLCertificateKeyFile ${server.key}
	SSLCACertificateFile ${ca}
	SSLCARevocationFile ${crl}
	SSLCARevocationCheck leaf
	SSLVerifyClient require
	Header always set X-Client-DN "%{SSL_CLIENT_S_DN}s"
	Header always set X-Client-Port "expr=%{REMOTE_PORT}"
	Header always set X-Protocol "%{SSL_PROTOCOL}s"
</VirtualHost>`;
	return `
ServerRoot ${folder}
ServerName localhost
PidFile ${folder}/httpd.pid
DefaultRuntimeDir ${folder}
Mutex file:${folder} default
Listen 127.0.0.1:${tls13}
Listen 127.0.0.1:${tls12}
User www-data
Group www-data
ErrorLog ${folder}/error.log
LogLevel warn ssl:debug
CustomLog ${folder}/access.log "%s %U"
KeepAliveTimeout 30
MaxKeepAliveRequests 0
${['mpm_event', 'authz_core', 'dir', 'headers', 'alias', 'socache_shmcb', 'ssl']
	.map(name => `LoadModule ${name}_module ${modules}/mod_${name}.so`)
	.join('\n')}
SSLSessionCache none
SSLSessionTickets off
DocumentRoot ${folder}/htdocs
AliasMatch ^/ ${folder}/htdocs/index.html
<Directory ${folder}/htdocs>
	Require all granted
</Directory>
${virtualHost(tls13, 'TLSv1.3')}
${virtualHost(tls12, 'TLSv1.2')}
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
