/** The certificates of a folder, with what lies beside each: signing policy, namespaces, address of its CRL. */
import type {X509Certificate} from 'node:crypto';
import {existsSync, readdirSync, realpathSync, statSync} from 'node:fs';
import {basename, extname, join} from 'node:path';
import {GatepassError} from '../errors.ts';
import {parseCertificates} from '../x509/certificates.ts';
import {readBoundedSync} from '../x509/files.ts';
import {rfc2253Subject} from '../x509/names.ts';

/** What may lie beside a certificate in a hashed folder, under the same name. */
export const policyExtensions = ['signing_policy', 'namespaces', 'crl_url'] as const;

/** One certificate found. */
export interface FoundCertificate {
	readonly certificate: X509Certificate;
	/** Its subject, as RFC 2253 writes it. */
	readonly subject: string;
	/** The real file, without symbolic links. */
	readonly file: string;
	/** The file beside it, by extension. */
	readonly policies: ReadonlyMap<(typeof policyExtensions)[number], string>;
}

/**
 * All certificates in a folder, each once, by subject.
 *
 * @param only names of files without their endings, such as `CERN-Root-2`, or whole subjects; default: all.
 * @throws {GatepassError} where there are none, or not all that `only` names.
 * @throws {CertificateError} where one is damaged.
 */
export function readSources(folder: string, only: readonly string[] = []): FoundCertificate[] {
	const found = new Map<string, FoundCertificate>();
	const names: string[] = [];
	const used = new Set<string>();
	for (const {file, aliases} of certificateFiles(folder)) {
		const policies = policiesBeside(folder, aliases);
		for (const certificate of parseCertificates(readBoundedSync(file), file)) {
			const subject = rfc2253Subject(certificate);
			const wanted = only.filter(name => name === subject || aliases.includes(name));
			for (const name of wanted) used.add(name);
			names.push(aliases[0] ?? '', subject);
			if (only.length > 0 && wanted.length === 0) continue;
			if (!found.has(certificate.fingerprint256)) {
				found.set(certificate.fingerprint256, {certificate, subject, file, policies});
			}
		}
	}
	if (names.length === 0) {
		throw new GatepassError({
			code: 'bundle-source-unusable',
			what: `${folder} holds no certificates`,
			hint: 'Name a folder with *.pem, *.crt or <hash>.0 files',
		});
	}
	const missing = only.filter(name => !used.has(name));
	if (missing.length > 0) {
		throw new GatepassError({
			code: 'bundle-source-unusable',
			what: `${folder} holds no certificate '${missing.join("', '")}'`,
			hint: 'Name a file without its ending, or a whole subject',
		});
	}
	return [...found.values()].sort((a, b) => (a.subject < b.subject ? -1 : 1));
}

interface CertificateFile {
	/** Its real path. */
	readonly file: string;
	/** The names without ending of the file and of the links to it; its own first. */
	readonly aliases: readonly string[];
}

/** In a hashed folder, each file has several names. */
function certificateFiles(folder: string): CertificateFile[] {
	const byFile = new Map<string, string[]>();
	for (const name of namesIn(folder)) {
		if (!/\.(?:pem|crt|cer|der|\d+)$/.test(name)) continue;
		const path = join(folder, name);
		// A link to a file that is gone, as after a package was removed in part.
		if (!existsSync(path) || !statSync(path).isFile()) continue;
		const file = realpathSync(path);
		byFile.set(file, [...(byFile.get(file) ?? []), withoutEnding(name)]);
	}
	return [...byFile].map(([file, aliases]) => ({
		file,
		aliases: [...new Set([withoutEnding(basename(file)), ...aliases])],
	}));
}

function namesIn(folder: string): string[] {
	try {
		return readdirSync(folder).sort();
	} catch (error) {
		const {code} = error as NodeJS.ErrnoException;
		const reason = {ENOENT: 'does not exist', ENOTDIR: 'is not a folder'}[code ?? ''];
		throw new GatepassError(
			{
				code: 'bundle-source-unusable',
				what: `${folder} ${reason ?? `cannot be read (${code})`}`,
				hint: 'Name a folder with CA certificates',
			},
			{cause: error},
		);
	}
}

function withoutEnding(name: string): string {
	return basename(name, extname(name));
}

function policiesBeside(folder: string, aliases: readonly string[]): FoundCertificate['policies'] {
	return new Map(
		policyExtensions.flatMap(extension => {
			const file = aliases.map(alias => join(folder, `${alias}.${extension}`)).find(existsSync);
			return file === undefined ? [] : [[extension, file] as const];
		}),
	);
}
