/** The hashes by which a hashed CA folder names its files: `<hash>.0`, `<hash>.signing_policy`. */
import {createHash, type X509Certificate} from 'node:crypto';
import {canonicalName, namesIn} from './canonical-name.ts';

/** As `openssl x509 -subject_hash`: SHA-1 over the subject in canonical form. */
export function subjectHash({raw}: X509Certificate): string {
	const subject = namesIn(raw)?.subject;
	return firstBytes('sha1', subject === undefined ? Buffer.alloc(0) : canonicalName(raw, subject));
}

/** As `openssl x509 -subject_hash_old`, which OpenSSL had before 1.0: MD5 over the subject as it stands there. */
export function oldSubjectHash({raw}: X509Certificate): string {
	const subject = namesIn(raw)?.subject;
	return firstBytes(
		'md5',
		subject === undefined ? Buffer.alloc(0) : raw.subarray(subject.start, subject.end),
	);
}

function firstBytes(algorithm: string, bytes: Buffer): string {
	const digest = createHash(algorithm).update(bytes).digest();
	return digest.readUInt32LE(0).toString(16).padStart(8, '0');
}
