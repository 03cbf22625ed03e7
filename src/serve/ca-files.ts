/** The files by which programs come to trust the proxy's CA, each with the system's CAs in it. */
import {createHash, X509Certificate} from 'node:crypto';
import {mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {rootCertificates} from 'node:tls';
import type {Environment} from '../strategy/services.ts';
import {subjectHash} from '../x509/subject-hash.ts';

/** Where systems have their CAs in one PEM file. */
const systemFiles = [
	'/etc/ssl/certs/ca-certificates.crt',
	'/etc/pki/tls/certs/ca-bundle.crt',
	'/etc/ssl/ca-bundle.pem',
	'/etc/ssl/cert.pem',
];
/** Where they have them by hash; the grid's come first. */
const systemFolders = ['/etc/grid-security/certificates', '/etc/ssl/certs'];

export interface CaFiles {
	/** PEM: the system's and the proxy's. */
	readonly bundle: string;
	/** PEM: the proxy's alone. */
	readonly own: string;
	/** A hashed folder. */
	readonly folder: string;
	/** For Java, in its own format; opened by {@link javaPassword}. */
	readonly java: string;
}

/** Java's stores have one by custom; what is in them is public. */
export const javaPassword = 'changeit';

/** Write them into `folder`, which is its owner's. */
export function writeCaFiles(folder: string, root: string, environment: Environment): CaFiles {
	const files: CaFiles = {
		bundle: join(folder, 'ca-bundle.pem'),
		own: join(folder, 'ca.pem'),
		folder: join(folder, 'certificates'),
		java: join(folder, 'ca.jks'),
	};
	const bundle = `${systemBundle(environment).trimEnd()}\n${root}`;
	writeFileSync(files.own, root);
	writeFileSync(files.bundle, bundle);
	writeHashedFolder(files.folder, root, environment);
	writeFileSync(files.java, javaStore(bundle));
	return files;
}

/** What the user trusts already: the file that a variable names, else the system's, else Node's. */
function systemBundle({SSL_CERT_FILE: named}: Environment): string {
	for (const file of [named, ...systemFiles]) {
		if (file === undefined || file === '') continue;
		try {
			return readFileSync(file, 'utf8');
		} catch {
			// The next one.
		}
	}
	return `${rootCertificates.join('\n')}\n`;
}

function writeHashedFolder(folder: string, root: string, {X509_CERT_DIR: named}: Environment): void {
	mkdirSync(folder);
	const taken = new Set<string>();
	const link = (name: string, target: string): void => {
		if (taken.has(name)) return;
		taken.add(name);
		symlinkSync(target, join(folder, name));
	};
	const hash = subjectHash(new X509Certificate(root));
	writeFileSync(join(folder, `${hash}.0`), root);
	taken.add(`${hash}.0`);
	for (const from of [named, ...systemFolders]) {
		if (from === undefined || from === '') continue;
		try {
			for (const name of readdirSync(from)) {
				// Certificates by hash, and what the grid keeps beside them.
				if (/^[\da-f]{8}\.|\.(?:signing_policy|namespaces|info|crl_url)$/i.test(name))
					link(name, join(from, name));
			}
		} catch {
			// There is none.
		}
	}
}

/** Java's own format of a store, in which nothing has to be encrypted: JKS, version 2. */
export function javaStore(bundle: string): Buffer {
	const certificates = bundle.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g);
	const entries: Buffer[] = [];
	for (const [, base64 = ''] of certificates) {
		const der = Buffer.from(base64, 'base64');
		const trusted = number(2);
		entries.push(
			Buffer.concat([
				trusted,
				text(`ca${entries.length}`),
				Buffer.alloc(8),
				text('X.509'),
				number(der.length),
				der,
			]),
		);
	}
	const content = Buffer.concat([number(0xfe_ed_fe_ed), number(2), number(entries.length), ...entries]);
	const digest = createHash('sha1')
		.update(Buffer.from(javaPassword, 'utf16le').swap16())
		.update('Mighty Aphrodite')
		.update(content)
		.digest();
	return Buffer.concat([content, digest]);
}

function number(value: number): Buffer {
	const bytes = Buffer.alloc(4);
	bytes.writeUInt32BE(value);
	return bytes;
}

/** As `DataOutput.writeUTF`. */
function text(value: string): Buffer {
	const length = Buffer.alloc(2);
	length.writeUInt16BE(value.length);
	return Buffer.concat([length, Buffer.from(value)]);
}
