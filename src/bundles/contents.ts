/** Reads the certificates of a bundle, and tells what is wrong with how they are kept. */
import type {X509Certificate} from 'node:crypto';
import {join} from 'node:path';
import {parseCertificates} from '../x509/certificates.ts';
import {readBoundedSync} from '../x509/files.ts';
import {rfc2253Subject} from '../x509/names.ts';
import {type PemBlock, pemBlocks} from '../x509/pem.ts';
import {oldSubjectHash, subjectHash} from '../x509/subject-hash.ts';
import type {Bundle} from './bundle.ts';
import {type Attempt, type Fail, namesIn, rebuild} from './fault.ts';

/** The PEM file of all. Read block by block, because a duplicate is a mistake here. */
export function readTogether(file: string, fail: Fail): X509Certificate[] {
	const bytes = readBoundedSync(file);
	const blocks = pemBlocks(bytes);
	if (blocks.some(({label}) => label.includes('PRIVATE KEY'))) {
		fail(
			file,
			'it holds a private key',
			'Take the key out, and have its certificate revoked',
			'bundle-holds-key',
		);
	}
	// Damaged ones are told here; what is left is read one by one.
	parseCertificates(bytes, file);
	const all = blocks.filter(isCertificate).map(({base64}) => parseOne(base64, file));
	for (const [fingerprint, group] of Map.groupBy(all, ({fingerprint256}) => fingerprint256)) {
		const [first] = group;
		if (first === undefined || group.length === 1) continue;
		fail(
			rfc2253Subject(first),
			`it is ${group.length} times in ${file} (${fingerprint.slice(0, 11)}…)`,
			rebuild,
		);
	}
	return all;
}

function isCertificate({label}: PemBlock): boolean {
	return label.endsWith('CERTIFICATE');
}

function parseOne(base64: string, file: string): X509Certificate {
	const [certificate] = parseCertificates(Buffer.from(base64, 'base64'), file);
	return certificate as X509Certificate;
}

/** The certificates of the hashed folder, by the names of their files. */
export function readHashed(bundle: Bundle, attempt: Attempt, fail: Fail): Map<string, X509Certificate> {
	const found = new Map<string, X509Certificate>();
	const seen = new Map<string, string>();
	for (const name of namesIn(bundle.folder).filter(entry => /\.\d+$/.test(entry))) {
		const file = join(bundle.folder, name);
		const certificates = attempt(file, () => parseCertificates(readBoundedSync(file), file)) ?? [];
		const [certificate] = certificates;
		if (certificate === undefined) continue;
		if (certificates.length > 1) fail(file, `it holds ${certificates.length} certificates, not one`, rebuild);
		const [hash = ''] = name.split('.');
		if (hash !== subjectHash(certificate) && hash !== oldSubjectHash(certificate)) {
			fail(file, `its name should begin with ${subjectHash(certificate)}, the hash of its subject`, rebuild);
		}
		// The same one may stand there under its old hash too, but not twice under one.
		const key = `${hash} ${certificate.fingerprint256}`;
		const twin = seen.get(key);
		if (twin !== undefined) fail(rfc2253Subject(certificate), `it is in both ${twin} and ${name}`, rebuild);
		seen.set(key, name);
		found.set(name, certificate);
	}
	return found;
}
