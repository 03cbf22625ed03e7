/**
 * A private grid: a root CA, a grid CA below it, certificates of users, robots and hosts, and the hashed CA folder with
 * signing policies and revocation lists that the grid's own tools and servers read. All made by the `openssl` program.
 */
import {execFile} from 'node:child_process';
import {appendFile, chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';
import type {CertificateFiles} from '../../src/testing/authority.ts';
import type {ServerTrust} from './apache.ts';
import {findProgram} from './availability.ts';

export type GridUser = 'alice' | 'ecdsa' | 'ed25519' | 'robot' | 'revoked' | 'foreign';

export interface GridPki extends ServerTrust {
	readonly folder: string;
	/** A hashed CA folder, as X509_CERT_DIR names it: with old and new hashes, signing policies and revocation lists. */
	readonly certificates: string;
	/** Certificates as a user has them: the grid CA's own is not among them. `foreign` is of another root. */
	readonly users: Readonly<Record<GridUser, CertificateFiles & {readonly subject: string}>>;
	/** Run `openssl` in the folder. */
	openssl(...parameters: string[]): Promise<string>;
	close(): Promise<void>;
}

/** Under which the grid CA signs. */
const base = '/DC=org/DC=gatepass';
const rootName = '/C=CH/O=Gatepass/CN=Gatepass Root CA';
const gridName = `${base}/CN=Gatepass Grid CA`;

/** Policy identifiers of the Interoperable Global Trust Federation: what a certificate is for. */
const policies = {
	robot: '1.2.840.113612.5.2.3.3.1',
	host: '1.2.840.113612.5.2.3.3.2',
	person: '1.2.840.113612.5.2.3.3.3',
};

const keyTypes = {
	rsa: ['-newkey', 'rsa:2048'],
	ecdsa: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
	ed25519: ['-newkey', 'ed25519'],
};

export async function createGridPki(): Promise<GridPki> {
	const folder = await mkdtemp(join(tmpdir(), 'gatepass-grid-'));
	try {
		// Servers that root starts serve as another user, who reads the CA folder.
		await chmod(folder, 0o755);
		return await fillFolder(folder);
	} catch (error) {
		await rm(folder, {recursive: true, force: true});
		throw error;
	}
}

async function fillFolder(folder: string): Promise<GridPki> {
	const file = (name: string): string => join(folder, name);
	const openssl = async (...parameters: string[]): Promise<string> => {
		const {stdout} = await promisify(execFile)(findProgram('openssl') as string, parameters, {cwd: folder});
		return stdout;
	};
	await writeFile(file('ca.cnf'), caConfiguration);
	await writeFile(file('index'), '');
	await writeFile(file('crlnumber'), '01\n');

	const makeRoot = (name: string, subject: string): Promise<string> =>
		openssl(
			...['req', '-x509', ...keyTypes.rsa, '-nodes', '-keyout', `${name}.key`, '-out', `${name}.pem`],
			...['-days', '30', '-subj', subject, '-addext', 'basicConstraints=critical,CA:TRUE'],
			...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
		);
	const issue = async (
		name: string,
		subject: string,
		extensions: readonly string[],
		{keyType = 'rsa', ca = 'grid'}: {keyType?: keyof typeof keyTypes; ca?: string} = {},
	): Promise<CertificateFiles & {subject: string}> => {
		const key = ['-nodes', '-keyout', `${name}.key`];
		await openssl('req', ...keyTypes[keyType], ...key, '-out', `${name}.csr`, '-subj', subject);
		await writeFile(file(`${name}.ext`), extensions.join('\n'));
		await openssl(
			...['ca', '-batch', '-notext', '-config', 'ca.cnf', '-keyfile', `${ca}.key`, '-cert', `${ca}.pem`],
			...['-in', `${name}.csr`, '-out', `${name}.pem`, '-extfile', `${name}.ext`],
		);
		await chmod(file(`${name}.key`), 0o600);
		return {certificate: file(`${name}.pem`), key: file(`${name}.key`), subject: rfc2253(subject)};
	};

	await makeRoot('root', rootName);
	await makeRoot('elsewhere', '/C=CH/O=Elsewhere/CN=Other Root CA');
	await issue('grid', gridName, authorityExtensions, {ca: 'root'});
	const host = await issue('host', `${base}/OU=Hosts/CN=localhost`, [
		...leafExtensions('host'),
		'subjectAltName=DNS:localhost,IP:127.0.0.1',
	]);
	const person = (name: string, settings?: Parameters<typeof issue>[3]) =>
		issue(name, `${base}/OU=Users/CN=${name}`, leafExtensions('person'), settings);
	const users = {
		alice: await person('alice'),
		ecdsa: await person('ecdsa', {keyType: 'ecdsa'}),
		ed25519: await person('ed25519', {keyType: 'ed25519'}),
		robot: await issue('robot', `${base}/OU=Robots/CN=Robot: monit`, leafExtensions('robot')),
		revoked: await person('revoked'),
		foreign: await person('foreign', {ca: 'elsewhere'}),
	};
	const ca = ['ca', '-config', 'ca.cnf', '-keyfile', 'grid.key', '-cert', 'grid.pem'];
	await openssl(...ca, '-revoke', 'revoked.pem');
	for (const name of ['root', 'grid']) {
		const signer = ['-keyfile', `${name}.key`, '-cert', `${name}.pem`];
		await openssl('ca', '-config', 'ca.cnf', ...signer, '-gencrl', '-out', `${name}.crl`);
	}

	const certificates = file('certificates');
	await mkdir(certificates);
	for (const [name, subject] of [
		['root', rootName],
		['grid', gridName],
	] as const) {
		const hashes = await openssl(
			'x509',
			'-in',
			`${name}.pem`,
			'-noout',
			'-subject_hash',
			'-subject_hash_old',
		);
		for (const hash of hashes.trim().split('\n')) {
			await copyFile(file(`${name}.pem`), join(certificates, `${hash}.0`));
			await copyFile(file(`${name}.crl`), join(certificates, `${hash}.r0`));
			await writeFile(join(certificates, `${hash}.signing_policy`), signingPolicy(subject));
		}
	}
	const concatenate = async (target: string, ...names: string[]): Promise<string> => {
		for (const name of names) await appendFile(file(target), await readFile(file(name)));
		return file(target);
	};
	return {
		folder,
		certificates,
		ca: await concatenate('ca.pem', 'grid.pem', 'root.pem'),
		crl: await concatenate('crl.pem', 'grid.crl', 'root.crl'),
		server: {certificate: await concatenate('host-chain.pem', 'host.pem', 'grid.pem'), key: host.key},
		users,
		openssl,
		close: () => rm(folder, {recursive: true, force: true}),
	};
}

const caConfiguration = `
[ca]
default_ca = own
[own]
database = index
crlnumber = crlnumber
new_certs_dir = .
rand_serial = yes
default_md = sha256
default_days = 10
default_crl_days = 10
unique_subject = no
policy = any
preserve = yes
[any]
domainComponent = optional
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = supplied
`;

const authorityExtensions = [
	'basicConstraints=critical,CA:TRUE',
	'keyUsage=critical,keyCertSign,cRLSign,digitalSignature',
	'subjectKeyIdentifier=hash',
	'authorityKeyIdentifier=keyid',
];

function leafExtensions(kind: keyof typeof policies): string[] {
	return [
		'basicConstraints=critical,CA:FALSE',
		'keyUsage=critical,digitalSignature,keyEncipherment',
		'subjectKeyIdentifier=hash',
		'authorityKeyIdentifier=keyid',
		`certificatePolicies=${policies[kind]}`,
		`extendedKeyUsage=clientAuth${kind === 'host' ? ',serverAuth' : ''}`,
	];
}

/** What each CA may sign, in the words of the Globus toolkit. */
function signingPolicy(subject: string): string {
	return `access_id_CA   X509    '${subject}'
pos_rights     globus  CA:sign
cond_subjects  globus  '"${base}/*" "/C=CH/O=Gatepass/*"'
`;
}

function rfc2253(subject: string): string {
	return subject.slice(1).split('/').reverse().join(',');
}
