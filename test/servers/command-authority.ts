/** The certificate authority of docs/examples/authority-command.sh: a folder, and the program openssl. */
import {mkdir, readdir, readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {createOpensslAuthority, type OpensslAuthority} from './openssl-authority.ts';

const script = fileURLToPath(new URL('../../docs/examples/authority-command.sh', import.meta.url));

export interface OpensslCommandAuthority {
	/** For `--authority-command`. */
	readonly command: string;
	/** PEM file of the CA certificate. */
	readonly ca: string;
	/** PEM file of the revocation list as it was last written. */
	readonly crl: string;
	/** Issues certificates for servers. */
	readonly authority: OpensslAuthority;
	/** The orders that wait, in the order in which they came. */
	waiting(): Promise<string[]>;
	/** Agree to an order; with another subject than it asks for, as OpenSSL writes it: `/O=Example/CN=Robot: x`. */
	approve(order: string, subject?: string): Promise<void>;
	refuse(order: string, reason: string): Promise<void>;
	/** Serial numbers and states, from the authority's own index. */
	index(): Promise<string>;
}

/** Make one in `folder`, which is created. */
export async function createCommandAuthority(
	openssl: string,
	folder: string,
): Promise<OpensslCommandAuthority> {
	const authority = await createOpensslAuthority(openssl, folder, '/DC=org/DC=example/CN=Example Grid CA');
	// Writes a first, empty list.
	const crl = await authority.revoke([]);
	await mkdir(join(folder, 'orders'), {recursive: true});
	await writeFile(join(folder, 'index'), '');
	await writeFile(join(folder, 'ca.cnf'), configuration);
	const orders = join(folder, 'orders');
	return {
		command: `'${script}' '${folder}'`,
		ca: authority.ca,
		crl,
		authority,
		async waiting() {
			const names = await readdir(orders);
			const isOpen = (order: string): boolean => !['ok', 'no'].some(end => names.includes(`${order}.${end}`));
			return names
				.filter(name => name.endsWith('.csr'))
				.map(name => name.slice(0, -'.csr'.length))
				.filter(isOpen)
				.sort();
		},
		async approve(order, subject = '') {
			await writeFile(join(orders, `${order}.ok`), subject);
		},
		async refuse(order, reason) {
			await writeFile(join(orders, `${order}.no`), `${reason}\n`);
		},
		index: () => readFile(join(folder, 'index'), 'utf8'),
	};
}

const configuration = `[ca]
default_ca = own
[own]
certificate = ca.pem
private_key = ca.key
database = index
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
default_days = 1
default_crl_days = 2
crlnumber = crlnumber
policy = anything
preserve = yes
email_in_dn = no
x509_extensions = robot
[anything]
domainComponent = optional
organizationName = optional
organizationalUnitName = optional
commonName = supplied
[robot]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
certificatePolicies = 1.2.840.113612.5.2.3.3.1
`;
