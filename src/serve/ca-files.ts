/** The files by which programs come to trust the proxy's CA, each with the system's CAs in it. */
import {createHash, X509Certificate} from 'node:crypto';
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
	symlinkSync,
	writeFileSync,
} from 'node:fs';
import {dirname, join} from 'node:path';
import {rootCertificates} from 'node:tls';
import {homeFolder} from '../strategy/paths.ts';
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
	/** A hashed folder: a link to one that is shared with other runs. */
	readonly folder: string;
	/** The file of the proxy's root in it: to be deleted in the end. */
	readonly inFolder: string;
	/** For Java, in its own format; opened by {@link javaPassword}. */
	readonly java: string;
}

/** Java's stores have one by custom; what is in them is public. */
export const javaPassword = 'changeit';

/** Write them into `folder`, which is its owner's. */
export function writeCaFiles(folder: string, root: string, environment: Environment): CaFiles {
	const hashed = writeHashedFolder(folder, root, environment);
	const files: CaFiles = {
		bundle: join(folder, 'ca-bundle.pem'),
		own: join(folder, 'ca.pem'),
		folder: join(folder, 'certificates'),
		inFolder: hashed.file,
		java: join(folder, 'ca.jks'),
	};
	const bundle = `${systemBundle(environment).trimEnd()}\n${root}`;
	symlinkSync(hashed.folder, files.folder);
	writeFileSync(files.own, root);
	writeFileSync(files.bundle, bundle);
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

/**
 * A folder with links to all of them is kept from one run to the next, since making hundreds takes long on some file
 * systems; the root is put in beside them. One that is left behind by a run that was killed vouches for nothing: its
 * key is gone.
 */
function writeHashedFolder(
	own: string,
	root: string,
	environment: Environment,
): {folder: string; file: string} {
	const sources = [environment.X509_CERT_DIR, ...systemFolders].filter(
		from => from !== undefined && from !== '' && existsSync(from),
	) as string[];
	const state = sources.map(from => `${from} ${statSync(from).mtimeMs}`).join('\n');
	const name = createHash('sha256').update(state).digest('hex').slice(0, 16);
	const caches = environment.XDG_CACHE_HOME || join(homeFolder(environment), '.cache');
	const write = (folder: string): {folder: string; file: string} => {
		if (!existsSync(folder)) linkAll(sources, folder);
		const file = join(folder, `${subjectHash(new X509Certificate(root))}.0`);
		writeFileSync(file, root);
		return {folder, file};
	};
	try {
		return write(join(caches, 'gatepass/certificates', name));
	} catch {
		// A home that cannot be written to, as services have it.
		return write(join(own, 'links'));
	}
}

function linkAll(sources: readonly string[], folder: string): void {
	mkdirSync(dirname(folder), {recursive: true, mode: 0o700});
	const made = mkdtempSync(`${folder}-`);
	const taken = new Set<string>();
	for (const from of sources) {
		for (const name of readdirSync(from)) {
			// Certificates by hash, and what the grid keeps beside them.
			const isWanted = /^[\da-f]{8}\.|\.(?:signing_policy|namespaces|info|crl_url)$/i.test(name);
			if (!isWanted || taken.has(name)) continue;
			taken.add(name);
			symlinkSync(join(from, name), join(made, name));
		}
	}
	try {
		renameSync(made, folder);
	} catch {
		// Another run was quicker.
		rmSync(made, {recursive: true, force: true});
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
