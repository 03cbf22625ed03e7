/** A private PKI made by the `openssl` program, its hashed CA folder, and servers that show its certificates. */
import {type ChildProcess, execFile, spawn} from 'node:child_process';
import {randomBytes, X509Certificate} from 'node:crypto';
import {copyFile, mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import {findProgram} from '../servers/availability.ts';
import {stopProcess, untilSaid} from '../servers/process.ts';

export interface Holder {
	readonly name: string;
	/** PEM file of the certificate alone. */
	readonly certificate: string;
	readonly key: string;
	/** PEM file of the certificate and those of the CAs below the root. */
	readonly chain: string;
	read(): Promise<X509Certificate>;
}

export interface ListSettings {
	readonly revoked?: readonly Holder[];
	/** As `openssl ca -crl_nextupdate` takes it. */
	readonly nextUpdate?: string;
	/** As `openssl ca -crl_lastupdate` takes it. Default: now; with `nextUpdate` the beginning of 2020. */
	readonly thisUpdate?: string;
	/** Lines for the section of extensions. */
	readonly extensions?: readonly string[];
	/** How it is signed, as further parameters of `openssl ca`. */
	readonly signing?: readonly string[];
}

export interface Pki {
	readonly folder: string;
	openssl(...parameters: string[]): Promise<string>;
	/** A CA; without `by` a root. */
	authority(name: string, subject: string, by?: Holder, keyType?: readonly string[]): Promise<Holder>;
	issue(name: string, subject: string, by: Holder, hosts?: readonly string[]): Promise<Holder>;
	/** A revocation list in PEM. */
	list(by: Holder, settings?: ListSettings): Promise<string>;
	/** A hashed CA folder with these CAs. */
	caFolder(name: string, authorities: readonly Holder[]): Promise<CaFolder>;
	close(): Promise<void>;
}

export interface CaFolder {
	readonly path: string;
	/** Write a file that belongs to a CA, such as `r0` or `signing_policy`, under its new or its old hash. */
	put(authority: Holder, ending: string, content: string | Buffer, hash?: 'new' | 'old'): Promise<string>;
	remove(authority: Holder, ending: string): Promise<void>;
}

const ecdsa = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];

export async function createPki(): Promise<Pki> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-pki-'));
	const at = (name: string): string => join(folder, name);
	const openssl = async (...parameters: string[]): Promise<string> => {
		const {stdout} = await promisify(execFile)(findProgram('openssl') as string, parameters, {cwd: folder});
		return stdout;
	};
	const holder = async (name: string, by: Holder | undefined, isRoot: boolean): Promise<Holder> => {
		const certificate = at(`${name}.pem`);
		const chain = at(`${name}.chain`);
		const above = by === undefined ? '' : await readFile(by.chain, 'utf8');
		await writeFile(chain, isRoot ? '' : (await readFile(certificate, 'utf8')) + above);
		const read = async () => new X509Certificate(await readFile(certificate));
		return {name, certificate, key: at(`${name}.key`), chain, read};
	};
	const sign = async (
		name: string,
		subject: string,
		by: Holder,
		extensions: readonly string[],
		key = ecdsa,
	) => {
		await openssl('req', ...key, '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
		await writeFile(at(`${name}.ext`), [...extensions, 'authorityKeyIdentifier=keyid'].join('\n'));
		await openssl(
			...['x509', '-req', '-in', `${name}.csr`, '-CA', by.certificate, '-CAkey', by.key, '-days', '2'],
			...['-extfile', `${name}.ext`, '-out', `${name}.pem`],
			...['-set_serial', `0x01${randomBytes(8).toString('hex')}`],
		);
		return holder(name, by, false);
	};
	const hashOf = async ({certificate}: Holder, which: 'new' | 'old'): Promise<string> => {
		const parameter = which === 'new' ? '-subject_hash' : '-subject_hash_old';
		return (await openssl('x509', '-in', certificate, '-noout', parameter)).trim();
	};
	return {
		folder,
		openssl,
		async authority(name, subject, by, keyType = ecdsa) {
			const constraints = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];
			if (by !== undefined) {
				return sign(name, subject, by, [...constraints, 'subjectKeyIdentifier=hash'], [...keyType]);
			}
			await openssl(
				...[
					'req',
					'-x509',
					...keyType,
					'-nodes',
					'-keyout',
					`${name}.key`,
					'-out',
					`${name}.pem`,
					'-days',
					'2',
				],
				...['-subj', subject, ...constraints.flatMap(constraint => ['-addext', constraint])],
			);
			return holder(name, undefined, true);
		},
		issue(name, subject, by, hosts = ['127.0.0.1', 'localhost']) {
			const names = hosts.map(host => `${/^[\d.]+$/.test(host) ? 'IP' : 'DNS'}:${host}`).join(',');
			return sign(name, subject, by, ['extendedKeyUsage=serverAuth,clientAuth', `subjectAltName=${names}`]);
		},
		async list(by, {revoked = [], nextUpdate, thisUpdate, extensions = [], signing = []} = {}) {
			const own = await mkdtemp(at('list-'));
			await writeFile(join(own, 'index'), '');
			await writeFile(join(own, 'number'), '01\n');
			await writeFile(
				join(own, 'cnf'),
				[
					...['[ca]', 'default_ca = own', '[own]', `database = ${own}/index`, `crlnumber = ${own}/number`],
					...['default_md = sha256', 'default_crl_days = 2', 'crl_extensions = extensions'],
					...['[extensions]', 'authorityKeyIdentifier = keyid', ...extensions, ''],
				].join('\n'),
			);
			const ca = ['ca', '-config', join(own, 'cnf'), '-keyfile', by.key, '-cert', by.certificate, ...signing];
			for (const {certificate} of revoked) await openssl(...ca, '-revoke', certificate);
			const from = thisUpdate ?? (nextUpdate === undefined ? undefined : '20200101000000Z');
			const until = [
				...(from === undefined ? [] : ['-crl_lastupdate', from]),
				...(nextUpdate === undefined ? [] : ['-crl_nextupdate', nextUpdate]),
			];
			await openssl(...ca, '-gencrl', ...until, '-out', join(own, 'crl'));
			return readFile(join(own, 'crl'), 'utf8');
		},
		async caFolder(name, authorities) {
			const path = at(name);
			await mkdir(path);
			for (const authority of authorities) {
				await copyFile(authority.certificate, join(path, `${await hashOf(authority, 'new')}.0`));
				await copyFile(authority.certificate, join(path, `${await hashOf(authority, 'old')}.0`));
			}
			return {
				path,
				async put(authority, ending, content, hash = 'new') {
					const file = join(path, `${await hashOf(authority, hash)}.${ending}`);
					await writeFile(file, content);
					return file;
				},
				async remove(authority, ending) {
					await rm(join(path, `${await hashOf(authority, 'new')}.${ending}`));
				},
			};
		},
		close: () => rm(folder, {recursive: true, force: true}),
	};
}

export interface TlsServer {
	readonly url: string;
	close(): Promise<void>;
}

/** `openssl s_server`, which answers a GET with a page about the connection. */
export async function startTlsServer(
	{certificate, chain, key}: Holder,
	parameters: readonly string[] = [],
): Promise<TlsServer> {
	const server: ChildProcess = spawn(
		findProgram('openssl') as string,
		[
			...['s_server', '-accept', '127.0.0.1:0', '-www', '-cert', certificate, '-key', key],
			...['-cert_chain', chain, ...parameters],
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

/** A signing policy for one CA. */
export function signingPolicy(subject: string, ...patterns: readonly string[]): string {
	const list = patterns.map(pattern => `"${pattern}"`).join(' ');
	return `access_id_CA X509 '${subject}'\npos_rights globus CA:sign\ncond_subjects globus '${list}'\n`;
}
