/** Debian's MIT Kerberos as a private realm in a temporary folder: its KDC, its principals, their key tables. */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {chmod, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {findProgram, type RealServer} from './availability.ts';
import {startOnFreePort, stopProcess, untilSaid} from './process.ts';

const programs = ['krb5kdc', 'kdb5_util', 'kadmin.local', 'kinit'];

export const mitKdc: RealServer = {
	name: 'MIT Kerberos',
	install: 'apt-get install krb5-kdc krb5-admin-server krb5-user',
	whyUnavailable() {
		const missing = programs.find(name => findProgram(name) === undefined);
		return missing === undefined ? undefined : `there is no program ${missing}`;
	},
};

/** What `kinit` is told. */
export interface TicketSettings {
	/** Default: `alice`. */
	readonly principal?: 'alice' | 'robot';
	/** As kinit writes times: `2s`, `1h`. */
	readonly lifetime?: string;
	readonly renewable?: string;
	readonly forwardable?: boolean;
	/** Where to: a cache by its name, or a file. Default: a new file. */
	readonly cache?: string;
}

export interface Kdc {
	readonly realm: string;
	readonly folder: string;
	/** Of 127.0.0.1. */
	readonly port: number;
	/** The file for KRB5_CONFIG. */
	readonly configuration: string;
	/** Key tables by name; `http` holds the keys of HTTP/localhost and HTTP/127.0.0.1. */
	readonly keytabs: Readonly<Record<'alice' | 'robot' | 'http', string>>;
	/** Alice's. */
	readonly password: string;
	/** Get a ticket from a key table into a new cache file, or another cache, and return its name. */
	ticket(settings?: TicketSettings): Promise<string>;
	/** How many ticket-granting tickets it has given so far. */
	initialTickets(): number;
	/** A command of `kadmin`, such as `cpw -randkey robot`. */
	administer(command: string): Promise<string>;
	/** Stop the process without ending it (SIGSTOP): it takes connections and answers none. */
	pause(): void;
	resume(): void;
	/** End it, so that its port refuses connections. */
	stop(): Promise<void>;
	/** Start it again on its port. */
	restart(): Promise<void>;
	close(): Promise<void>;
}

const password = 'password-of-alice';

/** Of a realm that is not the usual one. */
export interface KdcSettings {
	readonly realm?: string;
	/** Realms by host or domain: what the KDC refers to others, and what clients ask for where. */
	readonly domains?: Readonly<Record<string, string>>;
	/** Whose keys are in the key table of the server. */
	readonly services?: readonly string[];
}

/** What a realm is configured by. */
interface Configuration {
	readonly folder: string;
	readonly realm: string;
	readonly domains: Readonly<Record<string, string>>;
}

export async function startKdc({
	realm = 'GATEPASS.TEST',
	domains = {localhost: realm, '.localhost': realm, '.elsewhere.test': 'ELSEWHERE.TEST'},
	services = ['HTTP/localhost', 'HTTP/127.0.0.1'],
}: KdcSettings = {}): Promise<Kdc> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-kdc-'));
	const file = (name: string): string => join(folder, name);
	const environment = {
		...process.env,
		KRB5_CONFIG: file('krb5.conf'),
		KRB5_KDC_PROFILE: file('kdc.conf'),
	};
	const run = async (program: string, ...parameters: string[]): Promise<string> => {
		const {stdout, stderr} = await promisify(execFile)(findProgram(program) as string, parameters, {
			env: environment,
		});
		return stdout + stderr;
	};
	const administer = (command: string): Promise<string> => run('kadmin.local', '-r', realm, '-q', command);
	const configuration = {folder, realm, domains};
	const startOn = (port: number): Promise<ChildProcess> => start(configuration, port, environment);

	let port = 0;
	let server: ChildProcess;
	let tickets = 0;
	let initialTickets = 0;
	/** Its log tells of each. */
	const count = ({stderr}: ChildProcess): void => {
		stderr?.on('data', (lines: Buffer) => {
			initialTickets += lines.toString().match(/AS_REQ .* ISSUE:/g)?.length ?? 0;
		});
	};
	try {
		// The server's workers read their key table as another user.
		await chmod(folder, 0o755);
		await configure(configuration, 0);
		await run('kdb5_util', 'create', '-s', '-r', realm, '-P', 'master-password');
		await createPrincipals({folder, realm, services}, administer);
		[port, server] = await startOnFreePort(startOn);
		count(server);
	} catch (error) {
		await rm(folder, {recursive: true, force: true});
		throw error;
	}

	return {
		realm,
		folder,
		port,
		configuration: file('krb5.conf'),
		keytabs: {alice: file('alice.keytab'), robot: file('robot.keytab'), http: file('http.keytab')},
		password,
		initialTickets: () => initialTickets,
		administer,
		async ticket({principal = 'alice', lifetime, renewable, forwardable, cache: wanted} = {}) {
			tickets += 1;
			const cache = wanted ?? file(`ticket-${tickets}`);
			await run(
				'kinit',
				...['-c', cache.startsWith('/') ? `FILE:${cache}` : cache, '-k', '-t', file(`${principal}.keytab`)],
				...(lifetime === undefined ? [] : ['-l', lifetime]),
				...(renewable === undefined ? [] : ['-r', renewable]),
				...(forwardable === undefined ? [] : [forwardable ? '-f' : '-F']),
				`${principal}@${realm}`,
			);
			return cache;
		},
		pause() {
			server.kill('SIGSTOP');
		},
		resume() {
			server.kill('SIGCONT');
		},
		stop: () => stopProcess(server, 'SIGTERM'),
		async restart() {
			server = await startOn(port);
			count(server);
		},
		async close() {
			await stopProcess(server, 'SIGTERM');
			await rm(folder, {recursive: true, force: true});
		},
	};
}

async function createPrincipals(
	{folder, realm, services}: {folder: string; realm: string; services: readonly string[]},
	administer: (command: string) => Promise<string>,
): Promise<void> {
	await administer(`addprinc -pw ${password} alice@${realm}`);
	await administer(`addprinc -randkey robot@${realm}`);
	// Without -norandkey, writing the key table would take the password away.
	await administer(`ktadd -norandkey -k ${join(folder, 'alice.keytab')} alice@${realm}`);
	await administer(`ktadd -k ${join(folder, 'robot.keytab')} robot@${realm}`);
	for (const service of services) {
		await administer(`addprinc -randkey ${service}@${realm}`);
		await administer(`ktadd -k ${join(folder, 'http.keytab')} ${service}@${realm}`);
	}
}

async function start(
	configuration: Configuration,
	port: number,
	environment: NodeJS.ProcessEnv,
): Promise<ChildProcess> {
	await configure(configuration, port);
	const {folder, realm} = configuration;
	const server = spawn(findProgram('krb5kdc') as string, ['-n', '-r', realm, '-P', join(folder, 'kdc.pid')], {
		env: environment,
		stdio: ['ignore', 'pipe', 'pipe'],
	});
	// It logs to its standard error once it listens.
	await untilSaid(server, server.stderr, 'commencing operation');
	return server;
}

/** For the KDC and its clients alike; nothing outside of the folder and 127.0.0.1 is used. */
async function configure({folder, realm, domains}: Configuration, port: number): Promise<void> {
	const mapping = Object.entries(domains).map(([domain, itsRealm]) => `\t${domain} = ${itsRealm}\n`);
	await writeFile(
		join(folder, 'krb5.conf'),
		`[libdefaults]
	default_realm = ${realm}
	dns_lookup_kdc = false
	dns_lookup_realm = false
	rdns = false
	forwardable = true
	ticket_lifetime = 1h
	renew_lifetime = 1d
	udp_preference_limit = 1
	default_ccache_name = FILE:${join(folder, 'default-cache')}
	default_cc_name = FILE:${join(folder, 'default-cache')}
	default_client_keytab_name = FILE:${join(folder, 'no-client.keytab')}
[realms]
	${realm} = {
		kdc = 127.0.0.1:${port}
	}
[domain_realm]
${mapping.join('')}`,
	);
	await writeFile(
		join(folder, 'kdc.conf'),
		`[kdcdefaults]
	kdc_listen = 127.0.0.1:${port}
	kdc_tcp_listen = 127.0.0.1:${port}
[realms]
	${realm} = {
		database_name = ${join(folder, 'principal')}
		key_stash_file = ${join(folder, 'stash')}
		acl_file = ${join(folder, 'kadm5.acl')}
		max_life = 1h
		max_renewable_life = 1d
		supported_enctypes = aes256-cts-hmac-sha1-96:normal aes128-cts-hmac-sha1-96:normal
	}
[logging]
	kdc = STDERR
`,
	);
}
