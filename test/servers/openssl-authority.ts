/** A certificate authority made by the `openssl` program: certificates and revocation lists that are not our own work. */
import {execFile} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {mkdir, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {promisify} from 'node:util';
import type {CertificateFiles} from '../../src/testing/authority.ts';

export interface OpensslAuthority {
	/** PEM file of the CA certificate. */
	readonly ca: string;
	/** `subject` as OpenSSL takes it, from the top down: `/O=Example/CN=alice`. `hosts` make it a server's. */
	issue(name: string, subject: string, hosts?: readonly string[]): Promise<CertificateFiles>;
	/** Write a list of revoked certificates and return its file. */
	revoke(certificates: readonly CertificateFiles[]): Promise<string>;
}

/** Make a certificate authority in `folder`, which is created. */
export async function createOpensslAuthority(
	program: string,
	folder: string,
	subject: string,
): Promise<OpensslAuthority> {
	await mkdir(folder, {recursive: true});
	const openssl = async (...parameters: string[]): Promise<void> => {
		await promisify(execFile)(program, parameters, {cwd: folder});
	};
	const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
	await openssl(
		...['req', '-x509', ...newKey, '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', subject],
		...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
	);
	return {
		ca: join(folder, 'ca.pem'),
		async issue(name, subject, hosts) {
			const names = hosts?.map(host => `${/^[\d.]+$/.test(host) ? 'IP' : 'DNS'}:${host}`).join(',');
			const extensions =
				names === undefined
					? 'extendedKeyUsage=clientAuth\n'
					: `extendedKeyUsage=serverAuth\nsubjectAltName=${names}\n`;
			await writeFile(join(folder, `${name}.ext`), extensions);
			await openssl('req', ...newKey, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
			await openssl(
				...['x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-days', '2'],
				...['-extfile', `${name}.ext`, '-out', `${name}.pem`],
				...['-set_serial', `0x01${randomBytes(8).toString('hex')}`],
			);
			return {certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`)};
		},
		async revoke(certificates) {
			await writeFile(join(folder, 'index'), '');
			await writeFile(join(folder, 'crlnumber'), '01\n');
			await writeFile(
				join(folder, 'ca.cnf'),
				[
					'[ca]',
					'default_ca = own',
					'[own]',
					'database = index',
					'crlnumber = crlnumber',
					'default_md = sha256',
					'default_crl_days = 2',
					'',
				].join('\n'),
			);
			const ca = ['ca', '-config', 'ca.cnf', '-keyfile', 'ca.key', '-cert', 'ca.pem'];
			for (const {certificate} of certificates) await openssl(...ca, '-revoke', certificate);
			await openssl(...ca, '-gencrl', '-out', 'ca.crl');
			return join(folder, 'ca.crl');
		},
	};
}
