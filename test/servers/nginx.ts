/** Debian's nginx as a private process that demands a client certificate (`ssl_verify_client on`). */
import {type ChildProcess, spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {chmod, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import type {ServerTrust, TlsVersion} from './apache.ts';
import {findProgram, type RealServer} from './availability.ts';
import {freePorts} from './free-port.ts';
import {stopProcess} from './process.ts';

export const nginx: RealServer = {
	name: 'nginx',
	install: 'apt-get install nginx-light openssl',
	whyUnavailable() {
		const missing = ['nginx', 'openssl'].find(name => findProgram(name) === undefined);
		return missing === undefined ? undefined : `there is no program ${missing}`;
	},
};

/** Each answer names the client in `X-Client-DN`. What it minds, nginx says with a page of status 400, not in TLS. */
export interface Nginx {
	readonly urls: Readonly<Record<TlsVersion, string>>;
	close(): Promise<void>;
}

export async function startNginx(trust: ServerTrust): Promise<Nginx> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-nginx-'));
	try {
		await chmod(folder, 0o755);
		const {server, ports} = await startOnFreePorts(folder, trust);
		const [tls13, tls12] = ports;
		return {
			urls: {'TLSv1.3': `https://127.0.0.1:${tls13}`, 'TLSv1.2': `https://127.0.0.1:${tls12}`},
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

/** nginx cannot be asked to choose a port, and one that was free may be taken by the time it starts. */
async function startOnFreePorts(
	folder: string,
	trust: ServerTrust,
): Promise<{server: ChildProcess; ports: number[]}> {
	for (let attempt = 1; ; attempt++) {
		const ports = await freePorts(2);
		await writeFile(join(folder, 'nginx.conf'), configure(folder, trust, ports));
		const server = spawn(findProgram('nginx') as string, ['-p', folder, '-c', join(folder, 'nginx.conf')], {
			stdio: ['ignore', 'ignore', 'pipe'],
		});
		let complaint = '';
		server.stderr?.on('data', chunk => {
			complaint += chunk;
		});
		// It writes its pid once it listens on every port.
		const deadline = Date.now() + 90_000;
		while (server.exitCode === null && Date.now() < deadline) {
			if (existsSync(join(folder, 'nginx.pid'))) return {server, ports};
			await pause(20);
		}
		await stopProcess(server, 'SIGTERM');
		if (!complaint.includes('Address already in use') || attempt === 5) {
			throw new Error(`nginx did not start:\n${complaint}`);
		}
	}
}

function configure(folder: string, {ca, crl, server}: ServerTrust, ports: readonly number[]): string {
	const virtualServer = (port: number | undefined, version: TlsVersion): string => `
	server {
		listen 127.0.0.1:${port} ssl;
		ssl_protocols ${version};
		ssl_certificate ${server.certificate};
		ssl_certificate_key ${server.key};
		ssl_client_certificate ${ca};
		ssl_crl ${crl};
		ssl_verify_client on;
		ssl_verify_depth 10;
		add_header X-Client-DN $ssl_client_s_dn always;
		add_header X-Protocol $ssl_protocol always;
		location / {
			default_type text/plain;
			return 200 "served by nginx\\n";
		}
	}`;
	const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
		.map(name => `${name}_temp_path ${folder}/${name};`)
		.join(' ');
	return `
daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log stderr warn;
events {}
http {
	access_log off;
	${temporary}
	${virtualServer(ports[0], 'TLSv1.3')}
	${virtualServer(ports[1], 'TLSv1.2')}
}
`;
}
