/** Certificates with faults, made by the `openssl` program: a root, a CA below it, and what they issue. */
import {execFile} from 'node:child_process';
import {readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {promisify} from 'node:util';
import type {CertificateFiles} from '../../src/testing/authority.ts';
import {findProgram} from '../servers/availability.ts';

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

export interface Pki {
	/** PEM file of the root. */
	readonly root: string;
	/** PEM file of the CA below it. */
	readonly intermediate: string;
	/** PEM file of an empty list of both. */
	readonly crl: string;
	/** A certificate with these extensions, as OpenSSL's configuration writes them. */
	issue(name: string, extensions: readonly string[], by?: 'root' | 'intermediate'): Promise<CertificateFiles>;
	/** One PEM file of several. */
	join(name: string, ...files: readonly string[]): Promise<string>;
	openssl(...parameters: readonly string[]): Promise<void>;
}

/** What makes a certificate one of a server on this machine. */
export const forServers = ['extendedKeyUsage=serverAuth', 'subjectAltName=IP:127.0.0.1,DNS:localhost'];

/** @param ofIntermediate extensions of the CA below the root. */
export async function createPki(folder: string, ofIntermediate: readonly string[] = []): Promise<Pki> {
	const file = (name: string): string => join(folder, name);
	const openssl = async (...parameters: readonly string[]): Promise<void> => {
		await promisify(execFile)(findProgram('openssl') as string, parameters, {cwd: folder});
	};
	const issue: Pki['issue'] = async (name, extensions, by = 'root') => {
		await writeFile(file(`${name}.ext`), extensions.join('\n'));
		await openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`);
		await openssl(
			...['x509', '-req', '-in', `${name}.csr`, '-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-days', '2'],
			...['-extfile', `${name}.ext`, '-out', `${name}.pem`],
		);
		return {certificate: file(`${name}.pem`), key: file(`${name}.key`)};
	};
	const own = ['-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
	await openssl(
		...[
			'req',
			'-x509',
			...newKey,
			'-keyout',
			'root.key',
			'-out',
			'root.pem',
			'-days',
			'2',
			'-subj',
			'/CN=root',
		],
		...own,
	);
	await issue('intermediate', [
		'basicConstraints=critical,CA:TRUE',
		'keyUsage=critical,keyCertSign,cRLSign',
		...ofIntermediate,
	]);
	const join_: Pki['join'] = async (name, ...files) => {
		const texts = await Promise.all(files.map(one => readFile(one, 'utf8')));
		await writeFile(file(name), texts.join(''));
		return file(name);
	};
	await writeFile(file('index'), '');
	await writeFile(file('crlnumber'), '01\n');
	await writeFile(
		file('ca.cnf'),
		'[ca]\ndefault_ca=own\n[own]\ndatabase=index\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=2\n',
	);
	for (const by of ['root', 'intermediate']) {
		const signer = ['-keyfile', `${by}.key`, '-cert', `${by}.pem`];
		await openssl('ca', '-config', 'ca.cnf', ...signer, '-gencrl', '-out', `${by}.crl`);
	}
	return {
		root: file('root.pem'),
		intermediate: file('intermediate.pem'),
		crl: await join_('all.crl', file('root.crl'), file('intermediate.crl')),
		issue,
		join: join_,
		openssl,
	};
}
