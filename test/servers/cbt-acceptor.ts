/** A GSS-API acceptor over TLS that enforces channel bindings: mod_auth_gssapi does not look at them. */
import {execFileSync, spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import {findProgram, type RealServer} from './availability.ts';
import type {Kdc} from './kdc.ts';
import {stopProcess, untilSaid} from './process.ts';

/** Debian's own Python, which has its module gssapi. */
const python = '/usr/bin/python3';

export const cbtAcceptor: RealServer = {
	name: 'python3-gssapi',
	install: 'apt-get install python3-gssapi openssl',
	whyUnavailable() {
		if (findProgram('openssl') === undefined)
			return 'there is no program openssl, which makes its certificates';
		try {
			execFileSync(python, ['-c', 'import gssapi'], {stdio: 'ignore'});
			return undefined;
		} catch {
			return `${python} has no module gssapi`;
		}
	},
};

export interface CbtAcceptor {
	/** Without a slash at the end. `/` refuses wrong bindings, `/strict` also none. */
	readonly url: string;
	close(): Promise<void>;
}

/** Start it with a certificate in PEM files, and the hash function that belongs to its signature. */
export async function startCbtAcceptor(
	kdc: Kdc,
	{certificate, key}: {readonly certificate: string; readonly key: string},
	hash: string,
): Promise<CbtAcceptor> {
	const script = fileURLToPath(new URL('cbt-acceptor.py', import.meta.url));
	const server = spawn(python, [script, certificate, key, hash], {
		stdio: ['ignore', 'pipe', 'pipe'],
		env: {
			...process.env,
			KRB5_CONFIG: kdc.configuration,
			KRB5_KTNAME: kdc.keytabs.http,
			KRB5RCACHENAME: 'none:',
		},
	});
	server.stderr.resume();
	let said = '';
	server.stdout.on('data', chunk => {
		said += chunk;
	});
	await untilSaid(server, server.stdout, '\n');
	const port = /port (\d+)/.exec(said)?.[1];
	return {url: `https://localhost:${port}`, close: () => stopProcess(server, 'SIGTERM')};
}
