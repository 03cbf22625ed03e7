/** `openssl s_server` as a private process that demands a client certificate, and may take proxies (RFC 3820). */
import {type ChildProcess, spawn} from 'node:child_process';
import type {ServerTrust, TlsVersion} from './apache.ts';
import {findProgram, type RealServer} from './availability.ts';
import {stopProcess, untilSaid} from './process.ts';

export const opensslServer: RealServer = {
	name: 'openssl s_server',
	install: 'apt-get install openssl',
	whyUnavailable: () => (findProgram('openssl') === undefined ? 'there is no program openssl' : undefined),
};

export interface OpensslServerSettings {
	readonly version: TlsVersion;
	readonly allowProxies?: boolean;
	/** What it takes for the time, in milliseconds since 1970. */
	readonly time?: number;
}

/** Answers a GET with a page that describes the connection; see {@link subjectSeen}. One connection at a time. */
export interface OpensslServer {
	readonly url: string;
	close(): Promise<void>;
}

export async function startOpensslServer(
	{ca, crl, server: {certificate, key}}: ServerTrust,
	{version, allowProxies = false, time}: OpensslServerSettings,
): Promise<OpensslServer> {
	const server: ChildProcess = spawn(
		findProgram('openssl') as string,
		[
			...['s_server', '-accept', '127.0.0.1:0', '-www', version === 'TLSv1.3' ? '-tls1_3' : '-tls1_2'],
			...['-cert', certificate, '-cert_chain', certificate, '-key', key, '-CAfile', ca],
			...['-CRL', crl, '-crl_check', '-Verify', '10', '-verify_return_error'],
			...(allowProxies ? ['-allow_proxy_certs'] : []),
			...(time === undefined ? [] : ['-attime', String(Math.floor(time / 1000))]),
		],
		{stdio: ['ignore', 'pipe', 'ignore']},
	);
	let port = '';
	server.stdout?.on('data', chunk => {
		port ||= /ACCEPT 127\.0\.0\.1:(\d+)/.exec(String(chunk))?.[1] ?? '';
	});
	await untilSaid(server, server.stdout, 'ACCEPT ');
	return {url: `https://127.0.0.1:${port}/`, close: () => stopProcess(server, 'SIGTERM')};
}

/** The subject of the client's certificate on such a page, written as RFC 2253 does. */
export function subjectSeen(page: string): string | undefined {
	const subject = /Client certificate[\s\S]*?Subject: (.*)/.exec(page)?.[1];
	return subject
		?.split(', ')
		.map(part => part.replace(' = ', '='))
		.reverse()
		.join(',');
}
