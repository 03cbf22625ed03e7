/** Debian's BIND as a private process: a zone that takes updates (RFC 2136) under a key (TSIG), with an alias and a cut. */
import {execFile, spawn} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {once} from 'node:events';
import {chmod, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {findProgram, type RealServer} from './availability.ts';
import {startOnFreePort, stopProcess, untilSaid} from './process.ts';

export const bind: RealServer = {
	name: 'bind9',
	install: 'apt-get install bind9 bind9-dnsutils',
	whyUnavailable() {
		const missing = ['named', 'dig', 'nsupdate'].find(name => findProgram(name) === undefined);
		return missing === undefined ? undefined : `there is no program ${missing}`;
	},
};

export interface Bind {
	readonly port: number;
	/** Base64. */
	readonly secret: string;
	/** Names of keys with that secret: one may change every TXT record, the other none. */
	readonly keyName: 'acme-key';
	readonly powerless: 'powerless-key';
	/** The texts of the TXT records of a name, as anybody sees them. */
	texts(name: string): Promise<string[]>;
	/** Add a TXT record, as a person would. */
	add(name: string, text: string): Promise<void>;
	log(): string;
	close(): Promise<void>;
}

/**
 * Zone `example.test`. `_acme-challenge.alias` is an alias of `_acme-challenge.target` there, `_acme-challenge.far` one of
 * a name in `other.test`, and `sub` is a zone on another server.
 *
 * @param algorithm of the keys.
 */
export async function startBind(algorithm = 'hmac-sha256'): Promise<Bind> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-bind-'));
	const secret = randomBytes(32).toString('base64');
	const keyName = 'acme-key';
	const powerless = 'powerless-key';
	// It may give up its rights, so others have to be able to write here.
	await chmod(folder, 0o777);
	const zone = `$TTL 60
@ IN SOA ns hostmaster 1 60 60 600 60
@ IN NS ns
ns IN A 127.0.0.1
* IN A 127.0.0.1
`;
	const aliases = `_acme-challenge.alias IN CNAME _acme-challenge.target
_acme-challenge.far IN CNAME _acme-challenge.target.other.test.
_acme-challenge.round IN CNAME _acme-challenge.round
sub IN NS ns.elsewhere.test.
`;
	await writeFile(join(folder, 'example.test'), zone + aliases);
	await writeFile(join(folder, 'other.test'), zone);
	let said = '';
	const [port, server] = await startOnFreePort(async free => {
		await writeFile(
			join(folder, 'named.conf'),
			`
${[keyName, powerless].map(name => `key "${name}" { algorithm ${algorithm}; secret "${secret}"; };`).join('\n')}
options {
	directory "${folder}"; pid-file none; session-keyfile "${folder}/session.key"; managed-keys-directory "${folder}";
	listen-on port ${free} { 127.0.0.1; }; listen-on-v6 { none; };
	recursion no; notify no; dnssec-validation no;
};
controls { };
${['example.test', 'other.test']
	.map(
		name =>
			`zone "${name}" { type primary; file "${folder}/${name}"; update-policy { grant ${keyName} zonesub TXT; }; };`,
	)
	.join('\n')}
`,
		);
		const process = spawn(findProgram('named') as string, [
			'-c',
			join(folder, 'named.conf'),
			'-g',
			'-n',
			'1',
		]);
		process.stderr.on('data', chunk => {
			said += chunk;
		});
		await untilSaid(process, process.stderr, 'all zones loaded');
		if (/could not listen|address in use/i.test(said)) {
			said = '';
			await stopProcess(process, 'SIGKILL');
			throw new Error('Address already in use');
		}
		return process;
	});
	return {
		port,
		secret,
		keyName,
		powerless,
		async texts(name) {
			const {stdout} = await promisify(execFile)(findProgram('dig') as string, [
				...['+time=5', '+tries=1', '+short', '-p', String(port), '@127.0.0.1', name, 'TXT'],
			]);
			// A line that is no text is where an alias leads.
			return stdout
				.split('\n')
				.filter(line => line.startsWith('"'))
				.map(line => line.slice(1, -1))
				.sort();
		},
		async add(name, text) {
			const nsupdate = spawn(findProgram('nsupdate') as string, ['-y', `${algorithm}:${keyName}:${secret}`]);
			nsupdate.stdin.end(`server 127.0.0.1 ${port}\nupdate add ${name} 60 TXT "${text}"\nsend\n`);
			const [code] = await once(nsupdate, 'close');
			if (code !== 0) throw new Error(`nsupdate ended with ${code}`);
		},
		log: () => said,
		async close() {
			await stopProcess(server, 'SIGTERM');
			await rm(folder, {recursive: true, force: true});
		},
	};
}
