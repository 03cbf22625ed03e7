/**
 * Debian's glewlwyd as a private process: an authorization server in C, independent of the one in test/servers/
 * oidc-provider.ts. It speaks https, asks for client certificates, and serves its endpoints for those at other paths.
 */
import {type ChildProcess, spawn} from 'node:child_process';
import {generateKeyPairSync} from 'node:crypto';
import {once} from 'node:events';
import {existsSync, readFileSync} from 'node:fs';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {DatabaseSync} from 'node:sqlite';
import {setTimeout as pause} from 'node:timers/promises';
import type {JWK} from 'jose';
import type {CertificateFiles, TestAuthority} from '../../src/testing/authority.ts';
import {findProgram, type RealServer} from './availability.ts';
import {GlewlwydAdministration} from './glewlwyd-administration.ts';
import {startOnFreePort, stopProcess} from './process.ts';

/** The tables, with an administrator in them. */
const schema = '/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3';
const modules = '/usr/lib/glewlwyd';

export const glewlwyd: RealServer = {
	name: 'glewlwyd',
	// Its installation fails without one of the packages that prepare a database.
	install: 'apt-get install glewlwyd dbconfig-sqlite3',
	whyUnavailable() {
		if (findProgram('glewlwyd') === undefined) return 'there is no program glewlwyd';
		if (!existsSync(schema)) return `there is no ${schema}, which its Debian package brings`;
		return undefined;
	},
};

export interface GlewlwydSettings {
	readonly authority: TestAuthority;
	/** Public keys of the client `private-key-jwt`. */
	readonly clientKeys?: readonly JWK[];
	/** Whether proofs must have a nonce of the server's (RFC 9449 section 8). Default: it gives none. */
	readonly demandsNonce?: boolean;
}

export interface Glewlwyd {
	readonly issuer: string;
	readonly tokenEndpoint: string;
	readonly authority: TestAuthority;
	/** The public keys that its tokens are signed with. */
	readonly jwks: {readonly keys: JWK[]};
	/** How many tokens it has issued. */
	issued(): number;
	/** Whether it takes a token for valid. */
	isActive(token: string): Promise<boolean>;
	close(): Promise<void>;
}

/** The clients it knows. It takes the secret in the header as it is, without the encoding that RFC 6749 demands. */
export const glewlwydClients = {
	basic: {clientId: 'reader', clientSecret: 'a-plain-secret-of-the-reader'},
	post: {clientId: 'archiver', clientSecret: 'p0st:se/cr+et%41 &'},
	secretJwt: {clientId: 'secret-jwt', clientSecret: 'a secret of at least thirty-two bytes, as HS256 wants'},
	privateKeyJwt: {clientId: 'private-key-jwt'},
	/** Its certificate is for the host `mtls-client.example.org`. */
	mtls: {clientId: 'mtls'},
} as const;

/** What a token can be asked for; with another resource it is refused. */
export const glewlwydResources = ['https://api.example.org/', 'https://other.example.org/'] as const;

export async function startGlewlwyd(settings: GlewlwydSettings): Promise<Glewlwyd> {
	const {authority} = settings;
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-glewlwyd-'));
	let server: Running | undefined;
	try {
		const own = await authority.issue('glewlwyd', {
			subject: 'CN=glewlwyd',
			hosts: ['127.0.0.1', 'localhost'],
		});
		createDatabase(join(folder, 'glewlwyd.db'));
		server = await startServer(folder, own, authority.ca);
		const {url, log} = server;
		const issuer = `${url}/api/oidc`;
		const administration = new GlewlwydAdministration(url, await readFile(authority.ca, 'utf8'));
		await administration.logIn();
		const signing = generateKeyPairSync('ec', {namedCurve: 'P-256'});
		await administration.addAuthorizationServer({
			issuer,
			signing,
			demandsNonce: settings.demandsNonce ?? false,
			resources: glewlwydResources,
		});
		await administration.addClients(glewlwydClients, settings.clientKeys ?? []);
		const publicJwk = signing.publicKey.export({format: 'jwk'}) as JWK;
		const kid = await administration.keyId();
		const running = server;
		return {
			issuer,
			tokenEndpoint: `${issuer}/token`,
			authority,
			jwks: {keys: [{...publicJwk, kid, alg: 'ES256', use: 'sig'}]},
			issued: () => [...log().matchAll(/Access token generated for client '(?!\(null\))/g)].length,
			isActive: token => administration.isActive(token, glewlwydClients.basic),
			async close() {
				await stopProcess(running.process, 'SIGTERM');
				await rm(folder, {recursive: true, force: true});
			},
		};
	} catch (error) {
		const log = server?.log() ?? '';
		if (server !== undefined) await stopProcess(server.process, 'SIGTERM');
		await rm(folder, {recursive: true, force: true});
		throw new Error(`glewlwyd could not be set up:\n${log}`, {cause: error});
	}
}

function createDatabase(file: string): void {
	const database = new DatabaseSync(file);
	// In one transaction, or each of its thousand statements waits for the disk.
	database.exec(`BEGIN;\n${readFileSync(schema, 'utf8')};\nCOMMIT`);
	database.close();
}

interface Running {
	readonly process: ChildProcess;
	readonly url: string;
	/** All that it has written so far. */
	log(): string;
}

async function startServer(folder: string, own: CertificateFiles, ca: string): Promise<Running> {
	let log = '';
	const [port, server] = await startOnFreePort(async port => {
		const configuration = join(folder, 'glewlwyd.conf');
		await writeFile(configuration, configure(folder, port, own, ca));
		const started = spawn(findProgram('glewlwyd') as string, ['-c', configuration]);
		const closed = once(started, 'close');
		log = '';
		for (const output of [started.stdout, started.stderr]) output.on('data', chunk => (log += chunk));
		// It says that it has started before it listens.
		const administration = new GlewlwydAdministration(
			`https://127.0.0.1:${port}`,
			await readFile(ca, 'utf8'),
		);
		const deadline = Date.now() + 60_000;
		while (!(await administration.answers())) {
			if (started.exitCode !== null) {
				// Only then has all been read that it wrote.
				await closed;
				throw new Error(`glewlwyd ended:\n${log}`);
			}
			if (Date.now() > deadline) {
				await stopProcess(started, 'SIGKILL');
				throw new Error(`glewlwyd does not answer:\n${log}`);
			}
			await pause(20);
		}
		return started;
	});
	return {process: server, url: `https://127.0.0.1:${port}`, log: () => log};
}

function configure(folder: string, port: number, own: CertificateFiles, ca: string): string {
	const paths = {
		user_module_path: 'user',
		user_middleware_module_path: 'user_middleware',
		client_module_path: 'client',
		user_auth_scheme_module_path: 'scheme',
		plugin_module_path: 'plugin',
	};
	return `
port=${port}
bind_address="127.0.0.1"
external_url="https://127.0.0.1:${port}"
login_url="login.html"
api_prefix="api"
cookie_domain="127.0.0.1"
cookie_secure=1
session_key="session"
admin_scope="g_admin"
profile_scope="g_profile"
hash_algorithm="SHA512"
log_mode="console"
log_level="INFO"
${Object.entries(paths)
	.map(([name, path]) => `${name}="${modules}/${path}"`)
	.join('\n')}
use_secure_connection=true
secure_connection_key_file="${own.key}"
secure_connection_pem_file="${own.certificate}"
secure_connection_ca_file="${ca}"
database = { type = "sqlite3"; path = "${folder}/glewlwyd.db"; };
`;
}
