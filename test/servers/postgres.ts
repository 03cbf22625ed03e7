/** Debian's PostgreSQL as a private cluster in a temporary folder. */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {chownSync, existsSync, readdirSync, readFileSync} from 'node:fs';
import {mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {findProgram, type RealServer} from './availability.ts';
import {startOnFreePort, stopProcess, untilSaid} from './process.ts';

export const postgresServer: RealServer = {
	name: 'PostgreSQL',
	install: 'apt-get install postgresql',
	whyUnavailable() {
		for (const name of ['initdb', 'postgres', 'psql']) {
			if (findPostgresProgram(name) === undefined) return `there is no program ${name}`;
		}
		return undefined;
	},
};

export interface PostgresSettings {
	/** PEM files: then it speaks TLS too. */
	readonly tls?: {readonly certificate: string; readonly key: string};
}

export interface Postgres {
	/** `postgres:`, with its user and password. */
	readonly url: string;
	/** Run statements in a database of that server and give what comes of them, a line for a row. */
	run(statements: string): Promise<string>;
	/** Drop all tables. */
	clear(): Promise<void>;
	/** End it at once, as in a crash. */
	kill(): Promise<void>;
	/** Start it again on the same port. */
	restart(): Promise<void>;
	close(): Promise<void>;
}

const user = 'gatepass';
const password = 'postgres-password-of-the-tests';

export async function startPostgres({tls}: PostgresSettings = {}): Promise<Postgres> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-postgres-'));
	const account = unprivilegedAccount();
	const startOn = (port: number): Promise<ChildProcess> => start(port, folder, account);
	let port = 0;
	let server: ChildProcess;
	try {
		await createCluster(folder, account, tls);
		[port, server] = await startOnFreePort(startOn);
	} catch (error) {
		await rm(folder, {recursive: true, force: true});
		throw error;
	}
	const url = `postgres://${user}:${password}@127.0.0.1:${port}/postgres`;
	const run = async (statements: string): Promise<string> => {
		const {stdout} = await promisify(execFile)(findPostgresProgram('psql') as string, [
			...['--no-psqlrc', '--quiet', '--tuples-only', '--no-align', '--set=ON_ERROR_STOP=1'],
			...['--command', statements, url],
		]);
		return stdout.trimEnd();
	};
	return {
		url,
		run,
		async clear() {
			await run('SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public');
		},
		// An immediate shutdown: its workers end with it, and what is in the files is as a crash leaves it.
		kill: () => stopProcess(server, 'SIGQUIT'),
		async restart() {
			server = await startOn(port);
		},
		async close() {
			await stopProcess(server, 'SIGQUIT');
			await rm(folder, {recursive: true, force: true});
		},
	};
}

/** Debian keeps the programs of each version apart, outside of PATH. */
function findPostgresProgram(name: string): string | undefined {
	const found = findProgram(name);
	if (found !== undefined || process.env.GATEPASS_SERVERS_PATH !== undefined) return found;
	const versions = '/usr/lib/postgresql';
	if (!existsSync(versions)) return undefined;
	return readdirSync(versions)
		.sort((a, b) => Number(b) - Number(a))
		.map(version => join(versions, version, 'bin', name))
		.find(file => existsSync(file));
}

/** PostgreSQL refuses to run as root. */
interface Account {
	readonly uid?: number;
	readonly gid?: number;
}

function unprivilegedAccount(): Account {
	if (process.getuid?.() !== 0) return {};
	const accounts = readFileSync('/etc/passwd', 'utf8')
		.split('\n')
		.map(line => line.split(':'));
	const account = ['postgres', 'nobody'].flatMap(name => accounts.filter(([found]) => found === name))[0];
	if (account === undefined)
		throw new Error("There is no account 'postgres' or 'nobody' to run PostgreSQL as");
	return {uid: Number(account[2]), gid: Number(account[3])};
}

async function createCluster(folder: string, account: Account, tls: PostgresSettings['tls']): Promise<void> {
	const passwordFile = join(folder, 'password');
	const configuration = join(folder, 'postgresql.conf');
	const [certificate, key] = [join(folder, 'server.pem'), join(folder, 'server.key')];
	await writeFile(passwordFile, password, {mode: 0o600});
	if (tls !== undefined) {
		// It takes a key only where nobody but its own account may read it.
		await writeFile(certificate, await readFile(tls.certificate));
		await writeFile(key, await readFile(tls.key), {mode: 0o600});
	}
	await writeFile(
		configuration,
		Object.entries({
			listen_addresses: '127.0.0.1',
			unix_socket_directories: '',
			fsync: 'off',
			data_directory: join(folder, 'data'),
			hba_file: join(folder, 'data/pg_hba.conf'),
			ident_file: join(folder, 'data/pg_ident.conf'),
			...(tls !== undefined && {ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key}),
		})
			.map(([name, value]) => `${name} = '${value}'\n`)
			.join(''),
	);
	const {uid, gid} = account;
	if (uid !== undefined && gid !== undefined) {
		const files = [folder, passwordFile, configuration, ...(tls === undefined ? [] : [certificate, key])];
		for (const file of files) chownSync(file, uid, gid);
	}
	await promisify(execFile)(
		findPostgresProgram('initdb') as string,
		[
			...['--pgdata', join(folder, 'data'), '--username', user, '--pwfile', passwordFile],
			...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C', '--no-sync'],
		],
		{...account, cwd: folder, env: {LC_ALL: 'C'}},
	);
}

async function start(port: number, folder: string, account: Account): Promise<ChildProcess> {
	const server = spawn(
		findPostgresProgram('postgres') as string,
		['-c', `config_file=${join(folder, 'postgresql.conf')}`, '-p', String(port)],
		{...account, cwd: folder, env: {LC_ALL: 'C'}, stdio: ['ignore', 'ignore', 'pipe']},
	);
	await untilSaid(server, server.stderr, 'ready to accept connections');
	return server;
}
