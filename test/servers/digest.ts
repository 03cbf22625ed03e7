/** Debian's Apache and lighttpd as private processes that demand HTTP Digest, by users and realms of a file. */
import {type ChildProcess, spawn} from 'node:child_process';
import {createHash} from 'node:crypto';
import {existsSync} from 'node:fs';
import {chmod, mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {startApache, whyNoApache} from './apache-process.ts';
import {findProgram, type RealServer} from './availability.ts';
import {freePorts} from './free-port.ts';
import {stopProcess} from './process.ts';

export const user = {username: 'alice', password: 'a password, never sent'};

export interface DigestServer {
	readonly url: string;
	/** The status of each request so far, in their order. Ask once: lighttpd has to end for it. */
	statuses(): Promise<number[]>;
	close(): Promise<void>;
}

export const apacheDigest: RealServer = {
	name: 'Apache with mod_auth_digest',
	install: 'apt-get install apache2-bin',
	whyUnavailable: () => whyNoApache('auth_digest'),
};

/** Apache, which also tells of the nonce that each request came with; `undefined`: with none. */
export interface ApacheDigest extends DigestServer {
	nonces(): Promise<(string | undefined)[]>;
}

/**
 * MD5, as all that Apache has. `nonceLifetime` in seconds: after it a nonce is stale, and in the half minute before it each
 * answer names the next one. `/others` is another realm.
 */
export async function startApacheDigest({nonceLifetime = 300} = {}): Promise<ApacheDigest> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-apache-digest-'));
	await chmod(folder, 0o755);
	await mkdir(join(folder, 'htdocs'));
	await writeFile(join(folder, 'htdocs/index.html'), 'behind Digest\n');
	const names = ['reports', 'others'];
	const users = names.map(name => {
		const secret = createHash('md5').update(`${user.username}:${name}:${user.password}`).digest('hex');
		return `${user.username}:${name}:${secret}\n`;
	});
	await writeFile(join(folder, 'users'), users.join(''));
	const server = await startApache({
		folder,
		ports: 1,
		modules: [
			'mpm_event',
			'authz_core',
			'authz_user',
			'authn_core',
			'authn_file',
			'auth_digest',
			'dir',
			'alias',
		],
		logFormat: '%s %{Authorization}i',
		configure: () => `
AliasMatch ^/ ${folder}/htdocs/index.html
<Location />
	AuthType Digest
	AuthName "${names[0]}"
	AuthDigestProvider file
	AuthUserFile ${folder}/users
	AuthDigestNonceLifetime ${nonceLifetime}
	Require valid-user
</Location>
<Location /others>
	AuthName "${names[1]}"
</Location>
`,
	});
	return {
		url: `http://127.0.0.1:${server.ports[0]}`,
		statuses: async () => numbersIn(await server.log('access.log')),
		nonces: async () =>
			linesIn(await server.log('access.log')).map(line => /[ ,]nonce=\W*([^"\\]+)/.exec(line)?.[1]),
		async close() {
			await server.stop();
			await rm(folder, {recursive: true, force: true});
		},
	};
}

export const lighttpd: RealServer = {
	name: 'lighttpd',
	install: 'apt-get install lighttpd',
	whyUnavailable: () => (findProgram('lighttpd') === undefined ? 'there is no program lighttpd' : undefined),
};

/** Node's names of lighttpd's algorithms. */
const hashNames: Readonly<Record<string, string>> = {
	MD5: 'md5',
	'SHA-256': 'sha256',
	'SHA-512-256': 'sha512-256',
};

export interface LighttpdSettings {
	/** As lighttpd names them, such as `MD5|SHA-256`. */
	readonly algorithm: string;
	/** Whether the server wants the user's name hashed (RFC 7616 section 3.4.4). */
	readonly userhash?: boolean;
}

export async function startLighttpdDigest({
	algorithm,
	userhash = false,
}: LighttpdSettings): Promise<DigestServer> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-lighttpd-'));
	const name = 'reports';
	const users = algorithm.split('|').map(one => {
		const hash = (text: string): string =>
			createHash(hashNames[one] ?? one)
				.update(text)
				.digest('hex');
		const line = `${user.username}:${name}:${hash(`${user.username}:${name}:${user.password}`)}`;
		return userhash ? `${line}:${hash(`${user.username}:${name}`)}` : line;
	});
	await writeFile(join(folder, 'users'), `${users.join('\n')}\n`);
	await writeFile(join(folder, 'index.html'), 'behind Digest\n');
	const [server, port] = await startOn(
		folder,
		`
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "${folder}/users"
auth.require = ("/" => (
	"method" => "digest", "realm" => "${name}", "algorithm" => "${algorithm}", "require" => "valid-user",
	"userhash" => "${userhash ? 'enable' : 'disable'}"
))
`,
	);
	return {
		url: `http://127.0.0.1:${port}`,
		// lighttpd keeps lines back until it ends.
		statuses: async () => {
			await stopProcess(server, 'SIGTERM');
			return numbersIn(await readFile(join(folder, 'access.log'), 'utf8'));
		},
		async close() {
			await stopProcess(server, 'SIGTERM');
			await rm(folder, {recursive: true, force: true});
		},
	};
}

/** lighttpd cannot be asked to choose a port, and one that was free may be taken by the time it starts. */
async function startOn(folder: string, authentication: string): Promise<[ChildProcess, number]> {
	for (let attempt = 1; ; attempt++) {
		const [port = 0] = await freePorts(1);
		const pid = join(folder, 'pid');
		await writeFile(
			join(folder, 'lighttpd.conf'),
			`server.modules = ("mod_auth", "mod_authn_file", "mod_rewrite", "mod_accesslog")
server.document-root = "${folder}"
server.bind = "127.0.0.1"
server.port = ${port}
server.pid-file = "${pid}"
server.errorlog = "${folder}/error.log"
accesslog.filename = "${folder}/access.log"
accesslog.format = "%s"
url.rewrite-once = ("^/" => "/index.html")
mimetype.assign = (".html" => "text/html")
${authentication}`,
		);
		const program = findProgram('lighttpd') as string;
		const server = spawn(program, ['-D', '-f', join(folder, 'lighttpd.conf')], {stdio: 'ignore'});
		while (server.exitCode === null && !existsSync(pid)) await pause(20);
		if (server.exitCode === null) return [server, port];
		if (attempt === 5) {
			throw new Error(
				`lighttpd did not start: ${await readFile(join(folder, 'error.log'), 'utf8').catch(() => '')}`,
			);
		}
	}
}

function linesIn(log: string): string[] {
	return log.split('\n').filter(Boolean);
}

function numbersIn(log: string): number[] {
	return linesIn(log).map(line => Number(line.split(' ', 1)[0]));
}
